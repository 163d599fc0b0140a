"""A look at a directory's lock from outside: if a process works on it still."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

LOCK = ".lock"
ABOVE = 4  # a run may belong to a set of runs, whose process holds the lock of a directory above


def works(directory: Path) -> bool:
    """Return True if a process holds the lock of ``directory``, or of one that it lies in.

    The lock is taken for a moment, shared. Where that cannot be tried (no such locks on this system, no right to read
    the file), the answer is True.
    """
    whole = directory.absolute()
    return any(is_held(place / LOCK) for place in (whole, *list(whole.parents)[:ABOVE]))


def is_held(path: Path) -> bool:
    """Return True if a process holds the lock in the file ``path``; False if there is no such file."""
    try:
        posix: Any = importlib.import_module("fcntl")
    except ImportError:
        return path.is_file()
    try:
        if not path.is_file():
            return False
        with open(path, "rb") as handle:
            posix.flock(handle, posix.LOCK_SH | posix.LOCK_NB)
    except OSError:  # held, or not to be read
        return True
    return False
