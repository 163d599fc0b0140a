"""The engine of all sets of runs: what is missing is run, side by side if there are workers, what is there is read.

A run begins as soon as what it needs is there; of those that may begin, the one goes first that most work waits for.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from scalarize.runs.build import Loader
from scalarize.runs.directory import observing, tell
from scalarize.runs.planned_run import FinishedRun, PlannedRun, complete, directory_name, in_order
from scalarize.runs.search import SearchRequest
from scalarize.runs.workers import sharing
from scalarize.runs.workers.progress import Progress
from scalarize.runs.workers.request import Workers, crew
from scalarize.runs.workers.run_job import RunJob
from scalarize.utils import files
from scalarize.utils.errors import DivergedError, RunError
from scalarize.utils.workers.job import Job, LostJobError

__all__ = ["FinishedRun", "PlannedRun", "Say", "Workers", "complete", "directory_name", "execute", "in_order"]

Say = Callable[[str], None]
_OF_THE_RUN = {"seed", "policy", "weights", "baselines", "start", "reference"}  # what a run's cost does not depend on


def execute(
    plan: Sequence[PlannedRun],
    root: Path,
    command: str,
    say: Say | None = None,
    loader: Loader | None = None,
    keep_diverged: bool = False,
    workers: Workers | None = None,
) -> dict[str, FinishedRun]:
    """Run the missing runs of ``plan`` below ``root``, and read the others.

    Args:
        plan: the runs, in any order.
        root: the directory below which each has its own.
        command: how the plan is run again, for each ``config.yaml``.
        say: receives a line for each run, and a search's progress.
        loader: of the command, if it reads tables and data besides; default a new one.
        keep_diverged: a training that diverges in its first epoch is part of what was found, not the end of the plan.
        workers: that run them side by side; default: this process, one after the other.

    Returns:
        Each run by its name, in the plan's order.

    Raises:
        ValueError: two runs have one name, or a run needs one that is not there.
        RequestError: a request is wrong, or a directory holds something else.
        RunError: a run failed, or ended its process twice: then all others that do not need it are finished first.
    """
    return _Execution(plan, root, command, say, loader or Loader(), keep_diverged, workers).finish()


class _Execution:
    def __init__(
        self,
        plan: Sequence[PlannedRun],
        root: Path,
        command: str,
        say: Say | None,
        loader: Loader,
        keep_diverged: bool,
        workers: Workers | None,
    ) -> None:
        self.plan, self.root, self.command, self.loader, self.keep = plan, root, command, loader, keep_diverged
        self.blocked = {planned.name: planned for planned in in_order(plan)}
        self.finished: dict[str, FinishedRun] = {}
        self.lost: dict[str, BaseException] = {}
        self.under_way: dict[int, tuple[PlannedRun, RunJob]] = {}
        self.needed_by: dict[str, list[str]] = {}
        for planned in plan:
            for name in planned.needs:
                self.needed_by.setdefault(name, []).append(planned.name)
        self.jobs = {planned.name: self._job(planned) for planned in plan}
        self.progress = Progress(plan, root, say)
        searches = [p.request for p in plan if isinstance(p.request, SearchRequest)]
        shares = {(r.problem().model_dump_json(), r.split): (r.problem(), r.split) for r in searches}
        self.crew = crew(
            workers, [p.request for p in plan], loader, root / ".workers", self._hear, list(shares.values())
        )
        self.crew.expected, self.crew.desk.rank, self.crew.desk.changed = self._expected, self._rank, self._changed

    def finish(self) -> dict[str, FinishedRun]:
        """Run everything; see :func:`execute`."""
        try:
            self._release()
            while self.under_way:
                ticket, result, error = self.crew.next()
                planned, job = self.under_way.pop(ticket)
                if isinstance(error, LostJobError):
                    self.lost[planned.name] = error
                    continue
                if isinstance(error, DivergedError) and self.keep:  # before its first epoch was over
                    result = {"diverged": f"epoch 0: {error}"}
                elif error is not None:
                    raise error
                self.finished[planned.name] = FinishedRun(planned, job.request, job.directory, result)
                self._release()
        finally:
            self.crew.close()
            files.remove_folder(self.root / ".workers")
            self.progress.close()
        if self.lost:
            left = f"; not run, since they need it: {', '.join(self.blocked)}" if self.blocked else ""
            raise RunError("; ".join(str(error) for error in self.lost.values()) + left)
        return {planned.name: self.finished[planned.name] for planned in self.plan}

    def _release(self) -> None:
        """Queue the runs that have all that they need; read those that are there."""
        while ready := [p for p in self.blocked.values() if all(need in self.finished for need in p.needs)]:
            for planned in ready:
                del self.blocked[planned.name]
                request = complete(planned, self.finished)
                directory = self.root / (planned.directory or directory_name(planned.name, request))
                job = RunJob(request, directory, self.command, planned.name, observing())
                if (directory / "result.json").exists():
                    self.progress.begin(planned.name, "")
                    result = job(_Reading(self.loader))
                    self.finished[planned.name] = FinishedRun(planned, request, directory, result)
                    self._remember(planned, result)
                    self.progress.end(planned.name)
                else:
                    ticket = self.crew.submit(dataclasses.replace(self.jobs[planned.name], call=job))
                    self.under_way[ticket] = planned, job

    # --- costs ----------------------------------------------------------------------------------------------------
    def _job(self, planned: PlannedRun) -> Job:
        """Return the job of a run, still without its call."""
        request, units = planned.request, float(sharing.epochs(planned.request, self.loader))
        searches = isinstance(request, SearchRequest)
        if isinstance(request, SearchRequest):
            units *= max(1.0, request.population * min(1.0, max(0.0, request.split)))
        key = request.model_dump_json(exclude=_OF_THE_RUN)
        return Job(planned.name, _nothing, units, key, coordinates=searches)

    def _remember(self, planned: PlannedRun, result: Mapping[str, Any]) -> None:
        seconds = result.get("seconds_training", result.get("seconds"))
        if isinstance(seconds, int | float) and seconds > 0:
            self.crew.costs.note(self.jobs[planned.name], float(seconds))

    def _rank(self, job: Job) -> float:
        """Return the seconds until the last run that waits for this one can be over."""
        waiting = [n for n in self.needed_by.get(job.name, ()) if n in self.blocked]
        return self.crew.costs.of(job) + max((self._rank(self.jobs[name]) for name in waiting), default=0.0)

    def _expected(self) -> float:
        """Return the seconds of all that has not begun."""
        return self.crew.queued() + sum(self.crew.costs.of(self.jobs[name]) for name in self.blocked)

    # --- what is heard --------------------------------------------------------------------------------------------
    def _changed(self, job: Job, begun: bool) -> None:
        side_by_side = f", {len(self.crew.running)} running" if self.crew.size > 1 else ""
        left = (self._expected() + self.crew.begun()) / self.crew.size if self.crew.costs.known else None
        self.progress.left = left
        if begun:
            self.progress.begin(job.name, side_by_side)
        else:
            self.progress.end(job.name)

    def _hear(self, job: Job, kind: str, content: Any) -> None:
        if kind == "rows":
            tell(*content)
        elif kind == "say" and self.progress.say is not None:
            self.progress.say(content)


@dataclasses.dataclass
class _Reading:
    """The context of a run that is only read."""

    setup: Loader
    here = True

    def emit(self, kind: str, content: Any) -> None:
        """Say nothing."""


def _nothing(context: Any) -> None:
    """Do nothing."""
