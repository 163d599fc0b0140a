"""Checks of run directories: each file is compared with the digest that its run's manifest has of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scalarize.search.executors import storage
from scalarize.utils import manifest
from scalarize.utils.errors import RequestError
from scalarize.utils.manifest import Manifest

_RUN = ("config.yaml", "search.json", manifest.FILE)


@dataclass(frozen=True)
class Finding:
    """One file of a run directory, or the directory itself.

    path: of the file. trusted: it is as the run wrote it. said: why not, in words; empty if it is.
    """

    path: str
    trusted: bool
    said: str = ""


def verify(place: Path) -> list[Finding]:
    """Compare the files of all run directories in ``place`` and below with their manifests.

    A state that is gone is trained again, and is no fault; every other file that is listed must be there.

    Args:
        place: a run directory, or one that holds some.

    Returns:
        A finding for every listed file, and for every directory without a usable manifest.

    Raises:
        RequestError: there is no such directory, or no run in it.
    """
    if not place.is_dir():
        known = "is a file; name a directory of runs" if place.exists() else "no such directory"
        raise RequestError(f"{place}: {known}")
    found = [finding for directory in _directories(place) for finding in _of(directory)]
    if not found:
        raise RequestError(f"{place}: holds no run")
    return found


def _directories(place: Path) -> Iterator[Path]:
    for path, below, names in os.walk(place):
        below[:] = sorted(d for d in below if not d.startswith(".") and d != "checkpoints")
        if set(names) & set(_RUN):
            yield Path(path)


def _of(directory: Path) -> Iterator[Finding]:
    try:
        kept = Manifest(directory)
    except RequestError as error:
        yield Finding(str(directory / manifest.FILE), False, str(error).partition(": ")[2])
        return
    if not kept.there:
        yield Finding(str(directory), False, "has no digests: made by an earlier version, or its manifest is gone")
        return
    for name, entry in sorted(kept.files.items()):
        shown = name if storage.is_url(name) else str(kept.place(name))
        state = "checkpoints/" in name or name.endswith(".pt")
        if entry["digest"] is None:
            continue  # it was being written, and is not believed unless it says itself that it is whole
        try:
            kept.check(name, storage.read(shown))
        except RequestError as error:
            gone = not storage.is_url(shown) and not os.path.lexists(shown)
            if gone and (state or entry.get("grows")):
                continue
            yield Finding(shown, False, "is gone" if gone else str(error).removeprefix(f"{shown}: "))
        else:
            yield Finding(shown, True)
