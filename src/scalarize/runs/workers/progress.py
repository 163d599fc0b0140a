"""The progress of a set of runs: a line for each that begins, and a file that others may read meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from scalarize.runs.planned_run import PlannedRun
from scalarize.runs.workers.progress_file import ProgressFile


class Progress:
    """Counts the runs of a plan that are done, running and waiting.

    Args:
        plan: the runs.
        root: where the file lies while they run.
        say: receives a line for each run that begins, or None.
    """

    def __init__(self, plan: Sequence[PlannedRun], root: Path, say: Callable[[str], None] | None) -> None:
        self.kinds = {planned.name: planned.kind for planned in plan}
        self.file, self.say = ProgressFile(root), say
        self.left: float | None = None  # seconds until all are done
        self._total = {kind: list(self.kinds.values()).count(kind) for kind in ("search", "training")}
        self._begun: dict[str, None] = {}
        self._running: dict[str, None] = {}
        self._done = 0

    def begin(self, name: str, more: str) -> None:
        """Say that a run begins; ``more``: words that follow its name."""
        again = " again" if name in self._begun else ""
        self._begun[name] = self._running[name] = None
        kind = self.kinds[name]
        count = sum(self.kinds[other] == kind for other in self._begun)
        if self.say is not None:
            time_left = f", {in_words(self.left)} left" if self.left is not None and more else ""
            self.say(f"{kind} {count}/{self._total[kind]}{again}: {name}{more}{time_left}")
        self._write()

    def end(self, name: str) -> None:
        """Count a run that is over."""
        self._running.pop(name, None)
        self._done += 1
        self._write()

    def close(self) -> None:
        """Remove the file."""
        self.file.close()

    def _write(self) -> None:
        waiting = len(self.kinds) - self._done - len(self._running)
        self.file.write(self._done, list(self._running), waiting, self.left)


def in_words(seconds: float) -> str:
    """Return a time in words.

    >>> in_words(40), in_words(400), in_words(40000)
    ('40 s', '7 min', '11 h')
    """
    for size, unit in ((3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
