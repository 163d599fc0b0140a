"""The user's own table as a workload: from a file or a data frame to tasks, inputs and splits."""
