"""Locks on open files that die with their process, on POSIX and on Windows.

A process that is forked from the holder gives up its copy of the lock at once: workers that read data must not hold a
directory when the process that they read for is gone.
"""

from __future__ import annotations

import importlib
import os
import warnings
import weakref
from typing import IO, Any

_HELD: weakref.WeakSet[Any] = weakref.WeakSet()  # open files that are locked


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
        _HELD.add(handle)
    elif (windows := _module("msvcrt")) is not None:
        handle.seek(0)  # it locks a range of bytes from here on, which may lie beyond the end
        windows.locking(handle.fileno(), windows.LK_NBLCK, 1)
    else:
        warnings.warn("this system cannot lock files: let no two processes work on one directory", stacklevel=3)


def _let_go() -> None:
    """Close this process's copies of what its parent has locked, which leaves the parent's lock as it is."""
    held = [handle for handle in _HELD if not handle.closed]
    _HELD.clear()
    if held:
        nothing = os.open(os.devnull, os.O_RDWR)
        for handle in held:  # its number stays taken, so that closing it later closes nothing else
            os.dup2(nothing, handle.fileno(), inheritable=False)
        os.close(nothing)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None
