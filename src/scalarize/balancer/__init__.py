"""Fills ``.grad`` from the losses of several tasks, as a method says."""
