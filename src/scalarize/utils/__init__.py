"""Helpers that any package may use: errors, atomic files, seeds."""
