"""Architectures: the parts of an encoder that tasks share, and those that are a task's own. One small file each."""
