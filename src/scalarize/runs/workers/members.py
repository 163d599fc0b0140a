"""The executor of a search: this process, processes of this machine, or Ray."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scalarize.runs.build import Loader
from scalarize.runs.request import WorkloadRequest
from scalarize.runs.workers.progress_file import ProgressFile
from scalarize.runs.workers.request import Workers, crew
from scalarize.search.algorithms.base import Algorithm
from scalarize.search.executors.base import Executor
from scalarize.search.executors.crew_executor import CrewExecutor
from scalarize.search.executors.local import LocalExecutor
from scalarize.search.progress import Progress
from scalarize.utils import files
from scalarize.utils.errors import ScalarizeWarning

Make = Callable[[Any], Executor]


class _Members(CrewExecutor):
    """An executor of its own crew, which knows how much of the search is left."""

    def __init__(self, factory: Any, workers: Workers, request: Any, epochs: int, out: Path, loader: Loader) -> None:
        folder = out / ".workers"
        problem: WorkloadRequest = request.problem()
        own = crew(workers, [problem], loader, folder, _note, [(problem, request.split)], factory.threads)
        super().__init__(factory, own)
        self.crew, self.folder, self.epochs_left = own, folder, float(epochs)
        self.file, self.done = ProgressFile(out), 0
        own.expected = lambda: own.costs.of_units(self.epochs_left)
        own.desk.changed = self._changed

    def _changed(self, job: Any, begun: bool) -> None:
        self.done += not begun
        left = self.crew.expected() / self.crew.size if self.crew.costs.known else None
        self.file.write(self.done, self.crew.running, len(self.crew.desk.waiting), left)

    def close(self) -> None:
        """End the workers."""
        self.crew.close()
        self.file.close()
        files.remove_folder(self.folder)


def _note(job: Any, kind: str, content: Any) -> None:
    """Pass on what the crew itself says: that memory will hardly suffice."""
    if job is None and kind == "say":
        warnings.warn(content, ScalarizeWarning, stacklevel=2)


def executor(
    workers: Workers | None,
    request: Any,
    algorithm: Algorithm,
    out: Path,
    loader: Loader,
    threads: int | None,
    shared_directory: bool,
) -> Make:
    """Return what makes the executor of a search, from the factory of its learners.

    Args:
        workers: as they are asked for; None: this process.
        request: the search's, a :class:`scalarize.runs.search.SearchRequest`.
        algorithm: the search's, at its beginning.
        out: its directory.
        loader: of the command.
        threads: of torch a member, None for the recipe's number.
        shared_directory: workers of a cluster write and read members' states themselves, where all nodes see them.
    """
    if workers is None:
        return LocalExecutor
    if workers.address is None:
        return lambda factory: _Members(factory, workers, request, algorithm.total_epochs, out, loader)
    from scalarize.search.executors.ray_executor import RayExecutor  # type: ignore[import-not-found,unused-ignore]

    return lambda factory: RayExecutor(
        factory,
        workers=workers.count,
        address=None if workers.address == "local" else workers.address,
        threads_per_member=threads or 1,
        gpus_per_member=workers.share or 0.0,
        through="directory" if shared_directory else "objects",
    )


def counted(made: Executor, progress: Callable[[Progress], None] | None) -> Callable[[Progress], None] | None:
    """Wrap ``progress`` so that the executor learns how much is left."""
    if not isinstance(made, _Members):
        return progress

    def count(p: Progress) -> None:
        made.epochs_left = float(p.epochs_total - p.epochs_done)
        if progress is not None:
            progress(p)

    return count
