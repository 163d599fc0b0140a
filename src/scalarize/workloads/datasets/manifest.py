"""Data sets that were built here: one tensor file, and beside it a manifest of its sources."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scalarize.utils import files
from scalarize.utils.errors import RequestError

MANIFEST, WHOLE = "manifest.json", ".whole"


def sha256(path: Path) -> str:
    """Return the hexadecimal SHA-256 of a file's content."""
    digest = hashlib.sha256()
    with open(path, "rb") as handle:
        while chunk := handle.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def write(folder: Path, name: str, tensors: dict[str, Any], provenance: dict[str, Any]) -> Path:
    """Save ``tensors`` as ``folder/name``, and ``manifest.json`` with its hash and ``provenance``; see
    :func:`replacing`."""
    with replacing(folder) as place:
        path = files.save_tensors(place / name, tensors)
        files.write_json(place / MANIFEST, {"file": name, "sha256": sha256(path), **provenance})
    return folder / name


@contextlib.contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """Yield an empty folder to build a set in, the manifest last; what was built then takes its place in ``folder``.

    If that fails, or the process ends before, ``folder`` holds what it held. Files that the new set does not have stay.
    """
    with files.lock(folder):
        complete(folder)
        place = folder / ".building"
        files.remove_folder(place)  # of a process that was killed
        place.mkdir()
        try:
            yield place
            place.replace(folder / WHOLE)
        finally:
            files.remove_folder(place)
        complete(folder)


def complete(folder: Path) -> None:
    """Move a new set that is whole into its place, as far as a process that was doing so did not come."""
    whole = folder / WHOLE
    if not whole.is_dir():
        return
    with contextlib.suppress(OSError):  # a folder that may only be read: it is said what does not fit
        for path in sorted(whole.rglob("*")):
            if path.is_file() and path != whole / MANIFEST:
                target = folder / path.relative_to(whole)
                target.parent.mkdir(parents=True, exist_ok=True)
                path.replace(target)
        if (whole / MANIFEST).is_file():
            (whole / MANIFEST).replace(folder / MANIFEST)
        files.remove_folder(whole)


def present(folder: Path, name: str) -> bool:
    """Return True if a finished build of ``name`` is in ``folder``; ``load`` checks its content."""
    complete(folder)
    return (folder / name).is_file() and (folder / MANIFEST).is_file()


def check(folder: Path, remedy: str) -> dict[str, Any]:
    """Return the manifest of a build of several plain files. Raises RequestError if one is missing or was changed."""
    complete(folder)
    path = folder / MANIFEST
    if not path.is_file():
        raise RequestError(f"{path}: not there: {remedy}")
    recorded: dict[str, Any] = files.read_json(path)
    listed = recorded.get("files") if isinstance(recorded, dict) else None
    if not isinstance(listed, dict) or not listed:
        raise RequestError(f"{path}: damaged, it lists no files: {remedy}")
    for name, digest in listed.items():
        if not (folder / name).is_file() or sha256(folder / name) != digest:
            raise RequestError(f"{folder / name}: missing or changed, its hash is not the one in {path}: {remedy}")
    return recorded


def summary(path: Path) -> list[str]:
    """Return what a build says about itself, by its file or folder; nothing if it says nothing."""
    place = (path if path.is_dir() else path.parent) / MANIFEST
    content = files.read_json(place) if place.is_file() else {}
    return [str(line) for line in content.get("said", [])]


def load(folder: Path, name: str, remedy: str) -> Any:
    """Load the tensors of ``folder/name``. Raises RequestError with ``remedy`` if it is missing, damaged or changed."""
    path = folder / name
    if not present(folder, name):
        raise RequestError(f"{folder / MANIFEST if path.is_file() else path}: not there: {remedy}")
    recorded = files.read_json(folder / MANIFEST)
    if not isinstance(recorded, dict) or recorded.get("sha256") != sha256(path):
        raise RequestError(f"{path}: damaged, its hash is not the one in {folder / MANIFEST}: {remedy}")
    return files.load_tensors(path)
