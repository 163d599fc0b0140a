"""A search of a toy problem, and the same ended by a crash after some of its jobs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import scalarize
from scalarize.search.toy_problems import Noisy

NAMES = ("lineage.jsonl", "policy.json")


class Stop(Exception):
    """The crash."""


def search(out: Path, **settings: Any) -> list[bytes]:
    """What a search leaves."""
    scalarize.search(Noisy, out=out, **settings)
    return [(out / name).read_bytes() for name in NAMES]


def stopped(out: Path, jobs: int, **settings: Any) -> None:
    """End a search after so many jobs."""
    seen = []

    def progress(event: Any) -> None:
        seen.append(event)
        if len(seen) == jobs:
            raise Stop

    with pytest.raises(Stop):
        search(out, progress=progress, **settings)
