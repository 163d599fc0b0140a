"""The lock of a directory: a file in it that its holder has locked; a refused request leaves none behind."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from scalarize.utils import file_lock
from scalarize.utils.errors import BusyError, RequestError
from scalarize.utils.life import LOCK

_ATTEMPTS = 20


@contextlib.contextmanager
def lock(directory: str | Path) -> Iterator[None]:
    """Lock ``directory`` for this process.

    A RequestError raised inside leaves neither the lock's file nor an empty directory that was made for it.

    Args:
        directory: it is made if it is not there.

    Raises:
        BusyError: another process holds the lock.
        RequestError: the directory cannot be written.
    """
    directory = Path(directory)
    made = [p for p in (directory, *directory.parents) if not p.exists()]
    handle, new = _locked(directory)
    with handle:
        try:
            yield
        except RequestError:
            if new:
                (directory / LOCK).unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # until one that is not empty
                for path in made:
                    path.rmdir()
            raise


def _locked(directory: Path) -> tuple[IO[str], bool]:
    """Return the lock's open file, and True if it was made for this."""
    path, busy = directory / LOCK, f"{directory}: another process is working on it: wait, or choose another `out`"
    for attempt in range(_ATTEMPTS):
        try:
            directory.mkdir(parents=True, exist_ok=True)
            new = not path.exists()
            handle = open(path, "a", opener=without_waiting)  # noqa: SIM115
        except OSError as error:
            if isinstance(error, FileNotFoundError) and attempt + 1 < _ATTEMPTS:
                continue  # another process, refused, has just removed what it made
            raise RequestError(f"{directory}: cannot be written: {error.strerror}; choose another `out`") from None
        try:
            file_lock.acquire(handle)
        except OSError:
            handle.close()
            raise BusyError(busy) from None
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(handle.fileno()), os.stat(path)):
                return handle, new
        handle.close()  # the lock of a file that is no more locks nobody out
    raise BusyError(busy)


def without_waiting(path: str, flags: int) -> int:
    """Open a file; a pipe that nobody reads is an error, not a wait."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0), 0o666)
