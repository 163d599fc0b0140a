"""A data set that was built here: one tensor file, and beside it what it was made of."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from scalarize.utils import files
from scalarize.utils.errors import RequestError


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's content."""
    digest = hashlib.sha256()
    with open(path, "rb") as handle:
        while chunk := handle.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def write(folder: Path, name: str, tensors: dict[str, Any], provenance: dict[str, Any]) -> Path:
    """Save ``tensors`` as ``folder/name``, then ``manifest.json`` with its hash and ``provenance``, each in one step.

    The manifest comes last: a build that was interrupted is seen as missing.
    """
    path = files.save_tensors(folder / name, tensors)
    files.write_json(folder / "manifest.json", {"file": name, "sha256": sha256(path), **provenance})
    return path


def present(folder: Path, name: str) -> bool:
    """Whether a finished build of ``name`` lies in ``folder``; its content is looked at by ``load``."""
    return (folder / name).is_file() and (folder / "manifest.json").is_file()


def check(folder: Path, remedy: str) -> dict[str, Any]:
    """The manifest of a build of several plain files. Raises RequestError where one is missing or was changed."""
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


def said(path: Path) -> list[str]:
    """What a build has to say of itself, by its file or folder; nothing where it has nothing to say."""
    place = (path if path.is_dir() else path.parent) / "manifest.json"
    content = files.read_json(place) if place.is_file() else {}
    return [str(line) for line in content.get("said", [])]


def load(folder: Path, name: str, remedy: str) -> Any:
    """The tensors of ``folder/name``. Raises RequestError with ``remedy`` where it is missing, damaged or changed."""
    path = folder / name
    if not present(folder, name):
        raise RequestError(f"{folder / 'manifest.json' if path.is_file() else path}: not there: {remedy}")
    recorded = files.read_json(folder / "manifest.json")
    if not isinstance(recorded, dict) or recorded.get("sha256") != sha256(path):
        raise RequestError(f"{path}: damaged, its hash is not the one in {folder / 'manifest.json'}: {remedy}")
    return files.load_tensors(path)
