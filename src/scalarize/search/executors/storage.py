"""Where members' checkpoints lie: in a folder, or behind a URL that fsspec opens (``s3://bucket/run``, ``memory://x``).

A file of a folder is replaced in one step. Behind a URL it is written in a transaction of its file system: with object
stores and local files it appears whole or not at all. Elsewhere a crash may leave it cut short: then its reader refuses
it, and the member is trained again.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from scalarize.utils import files
from scalarize.utils.errors import RequestError, RunError


def settle(place: str) -> str:
    """The place as every process understands it: a URL, or an absolute path.

    Raises RequestError for a URL that fsspec, as it is installed here, does not open.
    """
    if not _is_url(place):
        return str(Path(place).absolute())
    _open(place)
    return place.rstrip("/")


def read(place: str) -> bytes:
    """The content of a file. Raises RequestError naming one that cannot be read."""
    if not _is_url(place):
        return files.read_bytes(place)
    system, path = _open(place)
    try:
        content: bytes = system.cat_file(path)
    except Exception as error:  # every store has errors of its own
        raise RequestError(f"{place}: cannot be read: {_reason(error)}") from None
    return content


def write(place: str, content: bytes | memoryview, sync: bool = True) -> None:
    """Replace a file. ``sync`` waits for the disk (of a folder). Raises RunError where it is not taken."""
    if not _is_url(place):
        files.write_bytes(place, content, sync)
        return
    system, path = _open(place)
    try:
        system.makedirs(path.rpartition("/")[0], exist_ok=True)
        with system.transaction, system.open(path, "wb") as handle:
            handle.write(content)
    except Exception as error:
        raise RunError(f"cannot write {place}: {_reason(error)}") from error


def inside(folder: str) -> list[str]:
    """What lies directly in ``folder``, sorted; nothing where it is missing. Raises RunError where no list is had."""
    if not _is_url(folder):
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
    """Delete a file, or a folder with all it holds; what is gone is no error. Raises RunError where it stays."""
    if not _is_url(place):
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


def _is_url(place: str) -> bool:
    return "://" in place


def _open(place: str) -> tuple[Any, str]:
    """The file system and the path on it."""
    import fsspec

    try:
        system, path = fsspec.core.url_to_fs(place)
    except (ValueError, ImportError) as error:  # an unknown protocol, or a package that it needs
        raise RequestError(f"{place}: cannot be opened: {_reason(error)}") from None
    return system, str(path)


def _reason(error: Exception) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
