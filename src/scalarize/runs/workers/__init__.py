"""Workers for the trainings of a plan or a search: what was asked for, what they share, and what they do."""

# Imported once for all workers.
PRELOAD = ("scalarize.runs.workers.run_job", "scalarize.learners.supervised")
