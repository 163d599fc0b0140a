"""Models, generic first: a shared encoder and one head per task. No file here names a benchmark."""
