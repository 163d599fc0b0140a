"""Reading data sets into sources of samples."""
