"""The file from which others read how far a set of jobs is."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path

from scalarize.utils import files
from scalarize.utils.errors import RunError

FILE = "progress.json"
FORMAT = "scalarize-progress/1"
PAUSE = 0.2  # seconds between two writes, at least


class ProgressFile:
    """A file that says how far a set is, while it is under way.

    Args:
        root: the directory in which it lies.
    """

    def __init__(self, root: Path) -> None:
        self.root, self._written = root, 0.0

    def write(self, done: int, running: Sequence[str], waiting: int, left: float | None) -> None:
        """Replace the file, unless that was done a moment ago.

        Args:
            done: jobs that are over.
            running: the names of those that run.
            waiting: jobs that have not begun.
            left: seconds until all are over, None if unknown.
        """
        now = time.monotonic()
        if now - self._written < PAUSE or not self.root.is_dir():
            return
        self._written = now
        content = {"format": FORMAT, "done": done, "running": list(running), "waiting": waiting, "seconds_left": left}
        with contextlib.suppress(RunError):  # a full disk is said by what has to be written
            files.write_json(self.root / FILE, content)

    def close(self) -> None:
        """Remove the file."""
        with contextlib.suppress(OSError):
            (self.root / FILE).unlink()
