"""Time taken by a search, per generation, in a file of its own: nothing that equal searches share holds a time."""

from __future__ import annotations

import hashlib
import math
import time
from pathlib import Path

from scalarize.utils import files


class Clock:
    """Wall and training time of a search, over all its resumptions.

    Args:
        path: the file ``timings.jsonl``.
        begun: start of this call, by ``time.monotonic``.
        max_time: seconds from then until the search must stop, or None.
    """

    def __init__(self, path: Path, begun: float, max_time: float | None) -> None:
        self.path, self.begun, self.mark = path, begun, begun
        self.deadline = math.inf if max_time is None else begun + max_time
        # Times of earlier calls; a crash loses the seconds of its unfinished generation only.
        files.cut_torn_line(path)
        self.earlier = files.read_lines(path) if path.exists() else []
        self._hash, self.size = hashlib.sha256(), 0
        if path.exists():
            self._grow(files.read_bytes(path))
        self.rows: list[dict[str, float]] = []

    def over(self) -> bool:
        """Return True if the time has run out."""
        return time.monotonic() >= self.deadline

    def passed(self) -> float:
        """Return the seconds since this call began."""
        return time.monotonic() - self.begun

    def note(self, generation: int, seconds_training: float) -> None:
        """Record that a generation, or the part of it that was trained, has ended."""
        now = time.monotonic()
        row = {"generation": generation, "seconds": now - self.mark, "seconds_training": seconds_training}
        self.mark = now
        self.rows.append(row)
        self._grow(files.append_lines(self.path, [row]))

    def digest(self) -> str:
        """Return the digest of the file, as :mod:`scalarize.utils.digests` makes it."""
        return f"sha256:{self._hash.hexdigest()}"

    def _grow(self, content: bytes) -> None:
        self._hash.update(content)
        self.size += len(content)

    def totals(self) -> tuple[float, float]:
        """Return the seconds of wall time and of training, over all calls."""
        wall = sum(float(row["seconds"]) for row in self.earlier) + self.passed()
        # A generation resumed counts its stored members again, so the last row of each holds its whole training.
        training = {row["generation"]: float(row["seconds_training"]) for row in [*self.earlier, *self.rows]}
        return wall, sum(training.values())
