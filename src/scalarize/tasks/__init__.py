"""Tasks, domains and the data that they are learned from."""
