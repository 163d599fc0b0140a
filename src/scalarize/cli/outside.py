"""Errors that are not our own, but whose cause is known and lies outside: each in one line."""

from __future__ import annotations

import sys

from scalarize.utils import optional

_MEMORY = ("not enough memory", "can't allocate memory", "cannot allocate memory", "std::bad_alloc")
_MAP = ("failed to map segment", "cannot map", "cannot allocate memory", "cannot apply additional memory")


def in_words(error: BaseException) -> tuple[str, int] | None:
    """Return the line and the exit status for an error from outside; None for one that must be shown whole.

    >>> in_words(MemoryError())
    ('out of memory: choose fewer --workers, a smaller batch or a smaller model', 1)
    >>> in_words(RuntimeError("a fault of ours")) is None
    True
    """
    text = str(error)
    if isinstance(error, ModuleNotFoundError):
        told = optional.in_words(error)
        return None if told is None else (str(told), told.status)
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and _names(text, _MEMORY)):
        return "out of memory: choose fewer --workers, a smaller batch or a smaller model", 1
    if isinstance(error, RuntimeError) and "can't start new thread" in text:
        return "the system starts no more threads: raise its limits (ulimit -u, ulimit -v)", 1
    if isinstance(error, ImportError | OSError) and _names(text, _MAP):
        return f"a library cannot be loaded into the memory that may be used (ulimit -v): {_first(text)}", 1
    if isinstance(error, UnicodeEncodeError):
        name = error.object[error.start : error.end]
        said = f"{name!a} cannot be written in a file's name here ({sys.getfilesystemencoding()})"
        return f"{said}: set LC_ALL=C.UTF-8", 1
    if isinstance(error, OSError):  # a full disk, a place that may not be written to
        return f"{error.filename or 'the system'}: {error.strerror or error}", 1
    if type(error).__name__ == "ValidationError" and hasattr(error, "errors"):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}", 2
    return None


def _names(text: str, causes: tuple[str, ...]) -> bool:
    lower = text.lower()
    return any(cause in lower for cause in causes)


def _first(text: str) -> str:
    return (text.splitlines() or [""])[0][:200]
