"""Locks on open files that die with their process, on POSIX and on Windows."""

from __future__ import annotations

import importlib
import warnings
from typing import IO, Any


def acquire(handle: IO[Any]) -> None:
    """Lock an open file for this process until it is closed, or the process ends.

    Where the system has no such locks (neither ``fcntl`` nor ``msvcrt``), a warning says so and nothing is locked.

    Args:
        handle: opened for writing.

    Raises:
        OSError: if another process holds the lock.
    """
    if (posix := _module("fcntl")) is not None:
        posix.flock(handle, posix.LOCK_EX | posix.LOCK_NB)
    elif (windows := _module("msvcrt")) is not None:
        handle.seek(0)  # it locks a range of bytes from here on, which may lie beyond the end
        windows.locking(handle.fileno(), windows.LK_NBLCK, 1)
    else:
        warnings.warn("this system cannot lock files: let no two processes work on one directory", stacklevel=3)


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None
