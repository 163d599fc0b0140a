"""A directory held while something is made in it, and left as it was if the request is refused."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from scalarize.utils import files, manifest
from scalarize.utils.errors import RequestError
from scalarize.utils.life import LOCK
from scalarize.utils.locking import lock

# What a run makes in its directory. Of the first, some content means that something was trained.
_TRAINED = ("records.jsonl", "lineage.jsonl", "timings.jsonl", "result.json", "policy.json")
_MADE = (manifest.FILE, "config.yaml", "table.json", "search.json", "checkpoints.json", "decisions.jsonl")
_OWN = (*_TRAINED, *_MADE, "events.jsonl", "progress.json")
_FOLDERS = ("checkpoints", "runs", "searches", "front", ".workers")
_BEGUN = ("config.yaml", "search.json")


@contextlib.contextmanager
def held(out: Path) -> Iterator[None]:
    """Lock ``out`` before anything is written to it.

    If the request inside is refused before anything was trained for it, ``out`` is left as it was.

    Args:
        out: the directory; it is made if it is not there.

    Raises:
        RequestError: ``out`` is no directory, another process holds it, or the request inside is wrong.
    """
    files.check_directory(out)
    with lock(out):
        before = {name for name in (*_OWN, *_FOLDERS) if os.path.lexists(out / name)}
        try:
            yield
        except RequestError:
            if not before & set(_BEGUN) and not _is_trained(out, before):
                _remove(out, before)
            raise


def _is_trained(out: Path, before: set[str]) -> bool:
    """Return True if something was trained in ``out`` or below it since."""
    made = [out / name for name in _TRAINED if name not in before]
    for folder in (out / name for name in _FOLDERS if name not in before):
        made += [p for p in folder.rglob("*") if p.suffix == ".pt" or p.name in _TRAINED]
    return any(p.is_file() and p.stat().st_size > 0 for p in made)


def _remove(out: Path, before: set[str]) -> None:
    """Remove what was made in ``out`` since."""
    for name in set(_OWN) - before:
        (out / name).unlink(missing_ok=True)
    for name in set(_FOLDERS) - before:
        if name == ".workers":
            files.remove_folder(out / name)
            continue
        for path, folders, names in os.walk(out / name, topdown=False):
            for own in {*names} & {*_OWN, LOCK}:
                (Path(path) / own).unlink(missing_ok=True)
            for folder in folders:
                with contextlib.suppress(OSError):
                    (Path(path) / folder).rmdir()
        with contextlib.suppress(OSError):
            (out / name).rmdir()
