"""Weights that do not look at the training: constants, replayed policies, random draws."""
