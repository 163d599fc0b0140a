"""Tasks, domains, the data they are learned from, and the metrics they are measured by."""
