"""Readers of data sets: from files to sources of samples."""
