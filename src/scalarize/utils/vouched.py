"""Files of a run that somebody else reads, compared with its manifest."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from scalarize.utils import files, manifest
from scalarize.utils.manifest import Manifest


def check(directory: str | Path, names: Iterable[str]) -> None:
    """Compare files with what their run wrote, as far as its manifest lists them.

    Args:
        directory: the run's; without a manifest, files are taken as they are.
        names: of files in it; those that are missing are left to whoever reads them.

    Raises:
        RequestError: a file is not what the run wrote, or the manifest is damaged.
    """
    directory = Path(directory)
    if not (directory / manifest.FILE).is_file():
        return
    kept = Manifest(directory)
    for name in names:
        if kept.digest(name) is not None and (directory / name).is_file():
            kept.check(name, files.read_bytes(directory / name))
