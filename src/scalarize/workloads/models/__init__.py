"""Models, generic first: a shared encoder and a head a task. No benchmark's name in here."""
