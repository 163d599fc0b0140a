"""Domains of a table: one column says which domain a row is of, in its own words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from scalarize.utils.errors import RequestError
from scalarize.workloads.table.cells import Column, understand

if TYPE_CHECKING:
    import pandas as pd

SMALLEST = 20  # rows of a domain


def words_of(column: Column, cells: pd.Series[Any]) -> pd.Series[Any]:
    """Return the domain of each row as a word, None if the cell is empty.

    Numbers are the same however they are written; dates and truth values keep their words.

    Args:
        column: what was understood of the column.
        cells: the column as it was read, (N,).
    """
    if column.truth is not None:
        return column.values.map(dict(enumerate(column.truth))).astype(object)
    return understand(column.name, column.values if column.kind == "number" else cells, "category").values


def rows_by_domain(column: Column, cells: pd.Series[Any]) -> dict[str, np.ndarray]:
    """Return the rows of each domain, int64, by its name, in the order of the names.

    Args:
        column: what was understood of the column.
        cells: the column as it was read, (N,).

    Raises:
        RequestError: a row is of no domain, or there are too few domains or rows of one.
    """
    words = words_of(column, cells)
    if words.isna().any():
        row = int(np.flatnonzero(words.isna())[0])
        raise RequestError(f"domain column {column.name!r}: row {row + 1} is empty: of which domain is it?")
    found = {str(d): np.flatnonzero((words == d).to_numpy()) for d in sorted(words.unique())}
    if len(found) < 2:
        raise RequestError(f"domain column {column.name!r} holds one value: there is nothing to weigh")
    for name, rows in found.items():
        if len(rows) < SMALLEST:
            raise RequestError(f"domain {name!r} has {len(rows)} rows: {SMALLEST} at least; merge rare domains first")
    return found


def places(name: str, cells: pd.Series[Any], domains: Sequence[str]) -> np.ndarray:
    """Return the place of each row's domain among ``domains``, int64 (N,).

    Args:
        name: of the column.
        cells: of new rows, (N,).
        domains: those that were trained on.

    Raises:
        RequestError: a row is of another domain, or of none.
    """
    cells = cells.reset_index(drop=True)
    words = words_of(understand(name, cells), cells)
    found = words.map({d: k for k, d in enumerate(domains)})
    if found.isna().any():
        row = int(np.flatnonzero(found.isna())[0])
        held = "is empty" if words.isna()[row] else f"holds {words[row]!r}"
        known = ", ".join(domains[:20]) + (", ..." if len(domains) > 20 else "")
        raise RequestError(f"domain column {name!r}: row {row + 1} {held}; the model was trained on {known}")
    return np.array(found, dtype=np.int64)  # a copy: what pandas hands out cannot be written to
