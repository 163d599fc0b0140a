"""Helpers of every package: errors, atomic files, seeds."""
