"""Storage of members' checkpoints: a folder, or a URL that fsspec opens (``s3://bucket/run``, ``memory://x``).

A file in a folder is replaced in one atomic step. Behind a URL it is written in a transaction of its file system: on
object stores and local files it appears completely or not at all. Elsewhere a crash may cut it short: its reader then
refuses it, and the member is trained again.
"""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import Any

from scalarize.utils import files
from scalarize.utils.errors import RequestError, RunError


def resolve(place: str) -> str:
    """Return the place in a form that every process understands: a URL, or an absolute path.

    Raises RequestError for a URL that the installed fsspec does not open.
    """
    if not is_url(place):
        return str(Path(place).absolute())
    _open(place)
    return place.rstrip("/")


def check_shared(place: str) -> None:
    """Raise RequestError if other processes cannot see ``place``."""
    if place.startswith("memory:"):
        raise RequestError(f"{place}: workers do not see the memory of this process: name a folder or another URL")


def read(place: str) -> bytes:
    """Return the content of a file. Raises RequestError that names one that cannot be read."""
    if not is_url(place):
        return files.read_bytes(place)
    system, path = _open(place)
    try:
        content: bytes = system.cat_file(path)
    except Exception as error:  # every store raises its own errors
        raise RequestError(f"{place}: cannot be read: {_reason(error)}") from None
    return content


def write(place: str, content: bytes | memoryview, sync: bool = True) -> None:
    """Replace a file; ``sync`` waits for the disk (of a folder). Raises RunError if that fails."""
    if not is_url(place):
        files.write_bytes(place, content, sync)
        return
    system, path = _open(place)
    try:
        system.makedirs(path.rpartition("/")[0], exist_ok=True)
        with system.transaction, system.open(path, "wb") as handle:
            handle.write(content)
    except Exception as error:
        raise RunError(f"cannot write {place}: {_reason(error)}") from error


def list_folder(folder: str) -> list[str]:
    """List the direct content of ``folder``, sorted; nothing if it is missing. Raises RunError if that fails."""
    if not is_url(folder):
        path = Path(folder)
        return sorted(str(p) for p in path.iterdir()) if path.is_dir() else []
    system, root = _open(folder)
    try:
        system.invalidate_cache()
        return sorted(f"{folder}/{name.rstrip('/').rpartition('/')[2]}" for name in system.ls(root, detail=False))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except Exception as error:
        raise RunError(f"cannot list {folder}: {_reason(error)}") from error


def remove(place: str) -> None:
    """Delete a file, or a folder with its content; a missing one is no error. Raises RunError if that fails."""
    if not is_url(place):
        if Path(place).is_dir():
            shutil.rmtree(place, ignore_errors=True)
        else:
            Path(place).unlink(missing_ok=True)
        return
    system, path = _open(place)
    try:
        system.rm(path, recursive=True)
    except (FileNotFoundError, NotADirectoryError):
        return
    except Exception as error:
        raise RunError(f"cannot delete {place}: {_reason(error)}") from error


def remove_empty(folder: str) -> None:
    """Delete a folder if nothing is in it; anything else is no error."""
    with contextlib.suppress(Exception):  # every store raises its own errors
        if not is_url(folder):
            Path(folder).rmdir()
        elif not list_folder(folder):
            system, path = _open(folder)
            system.rmdir(path)


def is_url(place: str) -> bool:
    """Return True for a URL, False for a path."""
    return "://" in place


def _open(place: str) -> tuple[Any, str]:
    """Return the file system and the path on it."""
    import fsspec

    try:
        system, path = fsspec.core.url_to_fs(place)
    except (ValueError, ImportError) as error:  # an unknown protocol, or a package that it needs
        raise RequestError(f"{place}: cannot be opened: {_reason(error)}") from None
    return system, str(path)


def _reason(error: Exception) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
