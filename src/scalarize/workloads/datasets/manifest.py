"""Data sets that were built here: one tensor file, and beside it a manifest of its sources."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from scalarize.utils import files
from scalarize.utils.errors import RequestError


def sha256(path: Path) -> str:
    """Return the hexadecimal SHA-256 of a file's content."""
    digest = hashlib.sha256()
    with open(path, "rb") as handle:
        while chunk := handle.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def write(folder: Path, name: str, tensors: dict[str, Any], provenance: dict[str, Any]) -> Path:
    """Save ``tensors`` as ``folder/name``, then ``manifest.json`` with its hash and ``provenance``, each atomically.

    The manifest comes last, so a build that was interrupted counts as missing.
    """
    path = files.save_tensors(folder / name, tensors)
    files.write_json(folder / "manifest.json", {"file": name, "sha256": sha256(path), **provenance})
    return path


def present(folder: Path, name: str) -> bool:
    """Return True if a finished build of ``name`` is in ``folder``; ``load`` checks its content."""
    return (folder / name).is_file() and (folder / "manifest.json").is_file()


def check(folder: Path, remedy: str) -> dict[str, Any]:
    """Return the manifest of a build of several plain files. Raises RequestError if one is missing or was changed."""
    path = folder / "manifest.json"
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
    place = (path if path.is_dir() else path.parent) / "manifest.json"
    content = files.read_json(place) if place.is_file() else {}
    return [str(line) for line in content.get("said", [])]


def load(folder: Path, name: str, remedy: str) -> Any:
    """Load the tensors of ``folder/name``. Raises RequestError with ``remedy`` if it is missing, damaged or changed."""
    path = folder / name
    if not present(folder, name):
        raise RequestError(f"{folder / 'manifest.json' if path.is_file() else path}: not there: {remedy}")
    recorded = files.read_json(folder / "manifest.json")
    if not isinstance(recorded, dict) or recorded.get("sha256") != sha256(path):
        raise RequestError(f"{path}: damaged, its hash is not the one in {folder / 'manifest.json'}: {remedy}")
    return files.load_tensors(path)
