"""Input columns of a table: which are used, and why the others are not."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from scalarize.workloads.table.cells import Column
from scalarize.workloads.table.options import IGNORE, TableOptions

EXACT = 2.0**53  # whole numbers beyond it are rounded
LOOKED_AT = 1000  # cells that mostly show already that a column is no id
LARGEST = 1e150  # of inputs and targets: the sum of squares is finite in double precision
PERSON = re.compile(r"person|patient|subject|customer|user|client|household|school|student|visitor", re.IGNORECASE)


def looks_like_id(name: str) -> bool:
    """Return True if a column's name says that it names rows, persons or things.

    >>> [looks_like_id(name) for name in ("id", "userId", "schoolid", "patient_nr", "price", "humidity")]
    [True, True, True, True, False, False]
    """
    if name.lower() in ("id", "nr", "index", "key", "uuid", "guid"):
        return True
    found = re.search(r"(?:^|[_\s.-])(?:id|ids|nr|uuid|guid|key)$|(?<=[a-z])I[dD]s?$", name)
    return bool(found) or bool(PERSON.search(name) and re.search(r"(id|nr|no|number)$", name, re.IGNORECASE))


def leave_out(
    columns: Mapping[str, Column], options: TableOptions, nameless: Sequence[str], used: Mapping[str, str]
) -> dict[str, str]:
    """Say of each column that is not to be an input why not.

    Args:
        columns: all columns but the targets, by name.
        options: of the table; an input that the user named is kept, whatever it looks like.
        nameless: columns without a name.
        used: columns that have another use, and which: groups, say.

    Returns:
        Reason by column, in words.
    """
    found: dict[str, str] = {}
    seen: dict[tuple[Any, ...], str] = {}
    for name, column in columns.items():
        if name in used:
            found[name] = used[name]
        elif name in options.ignore or options.types.get(name) == IGNORE:
            found[name] = "as asked"
        elif options.inputs and name not in options.inputs:
            found[name] = "not among `inputs`"
        elif name in options.inputs or name in options.types:
            continue
        elif name in nameless:
            found[name] = "it has no name, as a column of row numbers has none"
        elif reason := _useless(column):
            found[name] = reason
        elif (twin := _twin(column, columns, seen)) is not None:
            found[name] = f"equal to {twin}"
    return found


def _useless(column: Column) -> str | None:
    values = column.values
    there = ~column.missing
    if not there.any():
        return "empty"
    if column.kind == "category":
        return _useless_words(column)
    known = values.to_numpy(dtype="float64")[there]
    low, high = float(known.min()), float(known.max())
    if low == high and there.all():
        return f"constant ({low:g})"
    if not np.isfinite([low, high]).all():
        row = int(np.flatnonzero(np.isinf(values.to_numpy(dtype="float64")))[0])
        return f"infinite in row {row + 1}"
    if max(abs(low), abs(high)) > LARGEST:
        return f"numbers as large as {max(abs(low), abs(high)):.3g}"
    return _identifies(column, known)


def _identifies(column: Column, known: np.ndarray) -> str | None:
    if column.kind != "number" or len(known) < len(column.values) or len(known) < 3:
        return None
    if bool((known[:LOOKED_AT] % 1 != 0).any()) or bool((known % 1 != 0).any()):
        return None
    if max(abs(float(known.min())), abs(float(known.max()))) > EXACT:
        return "whole numbers beyond 2^53, as ids are"
    named = looks_like_id(column.name)
    steps = np.diff(known)
    numbered = bool((steps == 1).all())
    if not named and not numbered:
        return None
    distinct = len(np.unique(known))
    if distinct == len(known):
        return "it numbers the rows"
    return _groups(distinct, len(known)) if named and distinct > 20 else None


def _useless_words(column: Column) -> str | None:
    words = column.values.dropna()
    counts = words.value_counts()
    if len(counts) == 1 and len(words) == len(column.values):
        return f"constant ({counts.index[0]!r})"
    if len(counts) > 0.9 * len(words) and len(words) > 20:
        return "text that differs in nearly every row"
    if looks_like_id(column.name) and len(counts) > 20 and len(counts) > 0.02 * len(words):
        return _groups(len(counts), len(words))
    if int(counts[counts >= 2].head(255).sum()) < 0.3 * len(words):
        return f"text with {len(counts)} distinct values, few of which repeat"
    return None


def _groups(distinct: int, rows: int) -> str:
    return f"it names things ({distinct} in {rows} rows); keep each in one split with `groups`, or name it in `inputs`"


def _twin(column: Column, columns: Mapping[str, Column], seen: dict[tuple[Any, ...], str]) -> str | None:
    """Return the name of an earlier column with the same values."""
    values = column.values
    step = max(1, len(values) // 64)
    key = (column.kind, tuple(map(repr, values.iloc[::step].tolist())))
    other = seen.setdefault(key, column.name)
    if other == column.name:
        return None
    return other if values.equals(columns[other].values) else None
