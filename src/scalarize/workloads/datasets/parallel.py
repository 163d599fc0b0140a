"""Parallel text in plain files, one sentence per line: ``train.en`` beside ``train.fr``, or both in ``train.tsv``."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

from scalarize.utils import files
from scalarize.utils.errors import RequestError

SOURCE = "en"
SPLITS = ("train", "validation", "test")


def folder_of(root: Path, target: str) -> Path:
    """Return the folder of the pairs of English and ``target``."""
    return root / f"{SOURCE}-{target}"


def files_of(folder: Path, target: str, split: str) -> tuple[Path, ...]:
    """Return the files of ``split``: one table if there is one, else one file per language."""
    table = folder / f"{split}.tsv"
    return (table,) if table.is_file() else (folder / f"{split}.{SOURCE}", folder / f"{split}.{target}")


def absent(root: Path, targets: tuple[str, ...]) -> Path | None:
    """Return the first missing file."""
    wanted = (p for t in targets for s in SPLITS for p in files_of(folder_of(root, t), t, s))
    return next((p for p in wanted if not p.is_file()), None)


def pairs(folder: Path, target: str, split: str) -> Iterator[tuple[str, str]]:
    """Return (English, ``target``) of every line, without pairs that have an empty side.

    Lines end with a line feed, nothing else (Unicode knows further line ends, which would shift the lines). Raises
    RequestError that names file and line: not UTF-8, a line without counterpart, a table without exactly two columns.
    """
    paths = files_of(folder, target, split)
    if len(paths) == 1:
        rows = ((number, line.split("\t")) for number, line in _lines(paths[0]))
        for number, row in rows:
            if len(row) != 2:
                raise RequestError(f"{paths[0]}: line {number}: expected English, a tab and {target}, nothing else")
            if row[0].strip() and row[1].strip():
                yield row[0].strip(), row[1].strip()
        return
    for here, there in itertools.zip_longest(*map(_lines, paths)):
        if here is None or there is None:
            longer, shorter = paths if there is None else paths[::-1]
            number = (here or there)[0]
            raise RequestError(f"{longer}: line {number} has no counterpart: {shorter} ends before it (misaligned)")
        if here[1].strip() and there[1].strip():
            yield here[1].strip(), there[1].strip()


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    files.check_regular(path)
    try:
        with open(path, "rb") as handle:
            for number, line in enumerate(handle, start=1):
                yield number, line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise RequestError(f"{path}: line {number} is not UTF-8") from None
    except OSError as error:
        raise RequestError(f"{path}: cannot be read: {error.strerror}") from None
