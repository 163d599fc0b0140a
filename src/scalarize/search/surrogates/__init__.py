"""Surrogates: models of a score as a function of task weights."""
