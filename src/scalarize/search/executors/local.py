"""The default executor: one job after another in this process."""

from __future__ import annotations

from collections.abc import Generator

from scalarize.search.executors.base import Jobs, LearnerFactory, Outcome, run_and_store


class LocalExecutor:
    """Runs jobs in turn; on one machine two cores are used as well by one training as by two side by side."""

    def __init__(self, factory: LearnerFactory) -> None:
        self.factory = factory

    def run(self, jobs: Jobs) -> Generator[Outcome, None, None]:
        """Outcomes in the order of ``jobs``."""
        return (run_and_store(self.factory, job) for job in jobs if job is not None)

    def close(self) -> None:
        """Nothing to let go of."""
