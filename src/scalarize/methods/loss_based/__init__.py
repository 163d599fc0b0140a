"""Weights computed from the task losses alone: one ordinary backward pass."""
