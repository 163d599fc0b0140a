"""One run of a plan as a job: made, or read if it is there."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scalarize.runs import search, train
from scalarize.runs.build import Loader
from scalarize.runs.directory import observed
from scalarize.runs.request import TrainRequest
from scalarize.runs.search import SearchRequest
from scalarize.search.executors.crew_executor import CrewExecutor
from scalarize.utils.errors import BusyError

PATIENCE = 5.0  # seconds that a worker of an earlier call may take to let go of a run: its call was killed


@dataclass(frozen=True)
class RunJob:
    """A training or search, as any process runs it.

    request: what is run. directory: its own. command: for its ``config.yaml``. name: in messages. observed: what it
    logs is wanted by the process that submitted it.
    """

    request: TrainRequest | SearchRequest
    directory: Path
    command: str
    name: str
    observed: bool = False

    def __call__(self, context: Any) -> dict[str, Any]:
        """Return the result; ``context``: see :class:`scalarize.utils.workers.job.Context`."""
        loader = context.setup or context.kept.setdefault("loader", Loader())
        tell = observed(lambda place, rows: context.emit("rows", (place, list(rows))))
        with tell if self.observed and not context.here else nullcontext():
            until = time.monotonic() + PATIENCE
            while True:
                try:
                    return self._run(loader, context)
                except BusyError:
                    if time.monotonic() > until:
                        raise
                    time.sleep(0.1)

    def _run(self, loader: Loader, context: Any) -> dict[str, Any]:
        if isinstance(self.request, SearchRequest):
            progress = search.reporter(lambda line: context.emit("say", line), self.name)
            members: Callable[[Any], Any] = lambda factory: CrewExecutor(factory, context)  # noqa: E731
            found = search.search(
                self.request,
                self.directory,
                self.command,
                resume=True,
                executor=members if hasattr(context, "submit") else None,
                progress=progress,
                loader=loader,
            )
            return found
        result: dict[str, Any] = train.train(self.request, self.directory, self.command, resume=True, loader=loader)
        return result
