"""Splits of a table's rows into training, validation and test: stratified, by groups, by time or by a column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from scalarize.tasks.samples import split_groups
from scalarize.utils.errors import RequestError
from scalarize.workloads.table.options import SPLITS
from scalarize.workloads.table.targets import CLASSES, Target

WORDS = {"train": "train", "training": "train", "validation": "validation", "valid": "validation", "val": "validation",
         "dev": "validation", "test": "test", "testing": "test"}  # fmt: skip
TRIES = 200  # of grouped splits, until every split has every class that it needs


@dataclass(frozen=True)
class Rows:
    """The rows of each split, int64, in increasing order; how: how they were chosen, in words."""

    how: str
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray

    @property
    def parts(self) -> dict[str, np.ndarray]:
        """The rows by the name of their split."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    def within(self, rows: np.ndarray) -> Rows:
        """Return the part that lies in ``rows``."""
        return Rows(self.how, *(np.intersect1d(part, rows) for part in self.parts.values()))


def stratified(
    targets: Sequence[Target], values: Sequence[np.ndarray], shares: Sequence[float], seed: int, rows: np.ndarray
) -> Rows:
    """Split rows at random, with every class in the same proportion in each part.

    A row belongs to the rarest class among its labels; rows without a class to the bin of their first number. So rare
    classes are dealt out first, one to each part at least if there are three rows of them.

    Args:
        targets: the targets.
        values: their values (N,) each, places among classes or numbers, NaN if missing.
        shares: of training, validation and test, with a sum of 1.
        seed: of the shuffle.
        rows: the rows to split, int64.

    Returns:
        The rows of each part.
    """
    rng = np.random.default_rng([seed, 20231])
    stratum = _strata(targets, [column[rows] for column in values])
    parts: list[list[np.ndarray]] = [[], [], []]
    owed = np.zeros(3)
    for key in sorted(np.unique(stratum).tolist(), key=lambda k: (int((stratum == k).sum()), k)):
        own = rng.permutation(np.flatnonzero(stratum == key))
        wanted = np.array(shares) * len(own) + owed
        counts = np.maximum(np.floor(wanted), 1 if len(own) >= 3 else 0).astype(int)
        while counts.sum() > len(own):
            counts[int(np.argmax(counts))] -= 1
        for _ in range(len(own) - int(counts.sum())):
            counts[int(np.argmax(wanted - counts))] += 1
        owed = wanted - counts
        for part, piece in zip(parts, np.split(own, np.cumsum(counts)[:-1]), strict=True):
            part.append(piece)
    found = [np.sort(rows[np.concatenate(part)]) if part else rows[:0] for part in parts]
    percent = "/".join(f"{100 * share:.0f}" for share in shares)
    return Rows(f"at random, stratified, {percent}, split_seed {seed}", *found)


def _strata(targets: Sequence[Target], values: Sequence[np.ndarray]) -> np.ndarray:
    """Return the stratum of each row, an integer."""
    count = len(values[0])
    stratum, rarest = np.full(count, -1, dtype=np.int64), np.full(count, count + 1, dtype=np.int64)
    offset = 100  # above the bins of numbers
    for target, column in zip(targets, values, strict=True):
        if target.kind not in CLASSES:
            continue
        known = ~np.isnan(column)
        places = np.where(known, column, 0).astype(np.int64)
        frequency = np.bincount(places[known], minlength=len(target.classes))[places]
        better = known & (frequency < rarest)
        stratum[better], rarest[better] = offset + places[better], frequency[better]
        offset += len(target.classes)
    for target, column in zip(targets, values, strict=True):
        open_rows = (stratum < 0) & ~np.isnan(column)
        if target.kind in CLASSES or int(open_rows.sum()) < 50:
            continue
        edges = np.quantile(column[open_rows], np.linspace(0, 1, 11)[1:-1])
        stratum[open_rows] = np.searchsorted(edges, column[open_rows])
    return stratum


def by_groups(
    groups: np.ndarray, targets: Sequence[Target], values: Sequence[np.ndarray], shares: Sequence[float], seed: int,
    column: str,
) -> Rows:  # fmt: skip
    """Split whole groups at random; of several such splits the first that leaves no part without a class it needs."""
    where = torch.tensor(groups)
    for attempt in range(TRIES):
        parts = [p.numpy() for p in split_groups(where, shares, seed * 1009 + attempt)]
        found = Rows(f"whole groups of {column!r}, at random, split_seed {seed}", *parts)
        if lacking(targets, values, found) is None:
            break
    return found


def by_time(order: np.ndarray, shares: Sequence[float], column: str) -> Rows:
    """Split by time: the first rows train, the last are the test. Rows of one time stay together."""
    times = np.sort(order)
    first, second = (times[min(len(times) - 1, int(len(times) * s))] for s in (shares[0], shares[0] + shares[1]))
    parts = [order < first, (order >= first) & (order < second), order >= second]
    return Rows(f"by time, in the order of {column!r}", *(np.flatnonzero(part) for part in parts))


def by_column(words: Sequence[str | None], column: str) -> Rows:
    """Split as a column says: its values are train, validation and test."""
    parts = np.array([WORDS.get(str(word).lower(), "") if word is not None else "" for word in words])
    wrong = np.flatnonzero(parts == "")
    if len(wrong):
        row = int(wrong[0])
        raise RequestError(f"split column {column!r}: {words[row]!r} in row {row + 1} is none of {', '.join(SPLITS)}")
    found = Rows(f"as {column!r} says", *(np.flatnonzero(parts == name) for name in SPLITS))
    for name, rows in found.parts.items():
        if not len(rows):
            raise RequestError(f"split column {column!r}: no row is of {name!r}")
    return found


def lacking(targets: Sequence[Target], values: Sequence[np.ndarray], rows: Rows) -> str | None:
    """Say which target cannot be trained or measured with a split; None if all can.

    Every part needs labels of every target; validation and test need both classes of a binary target, or two numbers.
    """
    for target, column in zip(targets, values, strict=True):
        for name, part in rows.parts.items():
            known = column[part]
            known = known[~np.isnan(known)]
            if not len(known):
                return f"target {target.name!r}: no row of the {name} split has a label"
            if len(np.unique(known)) < 2 and (target.kind == "binary" or name == "train"):
                only = target.classes[int(known[0])] if target.kind in CLASSES else known[0]
                whole = column[np.concatenate(list(rows.parts.values()))]  # of the table, or of one domain
                if len(np.unique(whole[~np.isnan(whole)])) < 2:
                    return f"target {target.name!r} is constant ({only!r}): nothing to learn; take out these rows"
                return f"target {target.name!r}: the {name} split holds only {only!r}{_rare(target, whole)}"
    return None


def _rare(target: Target, column: np.ndarray) -> str:
    if target.kind not in CLASSES:
        return ""
    counts = np.bincount(column[~np.isnan(column)].astype(np.int64), minlength=len(target.classes))
    least = int(np.argmin(counts))
    plural = "row is" if counts[least] == 1 else "rows are"
    return (
        f"; {counts[least]} {plural} {target.classes[least]!r} in all, and each of the three splits needs one at least"
    )
