"""Weights computed from the task gradients: T backward passes."""
