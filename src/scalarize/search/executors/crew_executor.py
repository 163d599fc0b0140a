"""Training of members by the processes of this machine, side by side."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any

from scalarize.search.executors.base import Job, Jobs, LearnerFactory, Outcome, run_and_store
from scalarize.utils.workers import job as work
from scalarize.utils.workers.job import Context, Team


@dataclass(frozen=True)
class Member:
    """The training of one member, as a process runs it.

    factory: a pickle of the factory, which each process makes once. If it has ``adopt(setup)``, it is given what the
    processes have in common.
    """

    factory: bytes
    job: Job

    def __call__(self, context: Context) -> Outcome:
        """Train the member; its checkpoint is written here."""
        if self.factory not in context.kept:
            made = pickle.loads(self.factory)
            context.kept[self.factory] = made.adopt(context.setup) if hasattr(made, "adopt") else made
        return run_and_store(context.kept[self.factory], self.job)


class CrewExecutor:
    """Runs jobs in the processes of a crew; results equal those of one process.

    A member whose process dies is trained again from its parent's checkpoint, once.

    Args:
        factory: makes the learners; it travels as a pickle.
        team: the crew, or a coordinating job's view of it.
    """

    def __init__(
        self,
        factory: LearnerFactory,
        team: Team,
    ) -> None:
        self.factory, self.team = factory, team

    def close(self) -> None:
        """Do nothing: whoever made the team ends it."""

    def run(self, jobs: Jobs) -> Generator[Outcome, None, None]:
        """Run jobs side by side.

        Args:
            jobs: the jobs. Those of a list are queued at once; others are asked for as places become free.

        Returns:
            The outcomes as they come. Closing the generator ends the running trainings.
        """
        left, coming = len(jobs), iter(jobs)
        if not left:
            return
        factory = pickle.dumps(self.factory)
        most = left if isinstance(jobs, Sequence) else self.team.size
        under_way: set[int] = set()
        try:
            while left:
                while len(under_way) < most and (job := next(coming, None)) is not None:
                    name = f"member {job.member} of generation {job.generation}"
                    member: Callable[[Any], Any] = Member(factory, job)
                    under_way.add(self.team.submit(work.Job(name, member, _epochs(job), "member")))
                ticket, outcome, error = self.team.next()
                if ticket not in under_way:
                    continue
                under_way.discard(ticket)
                if error is not None:
                    raise error
                left -= 1
                yield outcome
        finally:
            if under_way:
                self.team.cancel(sorted(under_way))


def _epochs(job: Job) -> float:
    """Return about how many epochs a job trains, as its cost is counted: generations are equally long, or nearly so."""
    return job.until_epoch / (1 if job.parent is None else job.generation + 1)
