"""One network for all preferences over tasks: its weights are a function of the preference."""
