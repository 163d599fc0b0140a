"""Processes of this machine that work off a set of jobs: what a job is, who runs it, and in which order."""
