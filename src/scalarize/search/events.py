"""Events of a search without a barrier, one row per event: an append-only file in which damage is noticed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from scalarize.utils import files
from scalarize.utils.errors import RequestError


class Events:
    """The rows of the file, and a way to append more.

    Every line ends with the SHA-256 of all lines before it and its own content. A last line that a crash cut short is
    removed. Raises RequestError if any other line differs from the one that was written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._digest, self._bytes, self.size = hashlib.sha256(), hashlib.sha256(), 0
        self.rows: list[dict[str, Any]] = []
        if path.exists():
            for number, row in enumerate(files.read_lines(path), start=1):
                digest = row.pop("sha256", None)
                if self._count(row) != digest:
                    raise RequestError(f"{path}: line {number} is damaged: it differs from what the search wrote")
                self.rows.append(row)
            files.cut_torn_line(path)
            self._grow(files.read_bytes(path))

    def append(self, row: dict[str, Any]) -> None:
        """Write a row before anything that follows from it is begun. Raises RunError if it cannot be written."""
        self._grow(files.append_lines(self.path, [{**row, "sha256": self._count(row)}], sync=True))

    def digest(self) -> str:
        """Return the digest of the file, as :mod:`scalarize.utils.digests` makes it."""
        return f"sha256:{self._bytes.hexdigest()}"

    def _grow(self, content: bytes) -> None:
        self._bytes.update(content)
        self.size += len(content)

    def _count(self, row: dict[str, Any]) -> str:
        self._digest.update(json.dumps(row).encode())
        return self._digest.hexdigest()
