"""The default executor: one job after another in this process."""

from __future__ import annotations

from collections.abc import Generator

from scalarize.search.executors.base import Jobs, LearnerFactory, Outcome, run_and_store


class LocalExecutor:
    """Runs jobs one after another; on one machine, one training uses two cores as well as two trainings side by side.

    Args:
        factory: makes the learners.

    >>> from scalarize.search.toy_problems import Stationary
    >>> executor = LocalExecutor(Stationary)
    >>> list(executor.run([]))
    []
    """

    def __init__(self, factory: LearnerFactory) -> None:
        self.factory = factory

    def run(self, jobs: Jobs) -> Generator[Outcome, None, None]:
        """Run jobs one after another.

        Args:
            jobs: the jobs.

        Returns:
            The outcomes, in the order of ``jobs``.
        """
        return (run_and_store(self.factory, job) for job in jobs if job is not None)

    def close(self) -> None:
        """Do nothing: there is nothing to release."""
