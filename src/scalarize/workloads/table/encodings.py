"""Encodings of input columns: fitted on the training rows, kept as plain data, applied to any rows."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from scalarize.utils.errors import RequestError
from scalarize.workloads.table import kept
from scalarize.workloads.table.cells import TRUTH, Column, Kind, understand

if TYPE_CHECKING:
    import pandas as pd

ROUNDED = 16 * float(np.finfo(np.float64).eps)
MOST_KNOWN = 255  # categories of a column that are told apart; the rarest share code 0
YEAR, WEEK, DAY = 365.2425 * 86400.0, 7 * 86400.0, 86400.0
# Why not a library's encoders: a saved model must load without running code from disk, and scikit-learn and skrub keep
# what they fitted as pickles alone. Reading cells, categories and dates is pandas' work (cells.py); what is left is
# (x - mean) / deviation.


@dataclass(frozen=True)
class Number:
    """A column of numbers, standardised; with ``indicator``, a second column says where a value is missing."""

    name: str
    mean: float
    deviation: float
    indicator: bool = False
    truth: tuple[str, str] | None = None
    kind: ClassVar[str] = "number"

    @property
    def width(self) -> int:
        """The number of columns of numbers that it becomes."""
        return 1 + self.indicator

    @classmethod
    def fit(cls, column: Column, train: np.ndarray) -> Number:
        """Fit mean, deviation and indicator to the rows ``train``."""
        values = column.values.to_numpy(dtype="float64")[train]
        known = values[~np.isnan(values)]
        mean = float(known.mean()) if len(known) else 0.0
        deviation = float(np.sqrt(((known - mean) ** 2).mean())) if len(known) else 0.0
        if deviation <= ROUNDED * abs(mean):  # constant: the mean of equal numbers is theirs but for rounding
            deviation = 0.0
        gone = bool(np.isnan(values).any()) and len(known) > 0
        return cls(column.name, mean, deviation or math.inf, gone, column.truth)

    def numbers(self, column: Column) -> list[np.ndarray]:
        """Return ``width`` columns (N,); a missing value is the mean."""
        scaled = (column.values.to_numpy(dtype="float64") - self.mean) / self.deviation
        gone = np.isnan(scaled)
        if gone.any():
            scaled[gone] = 0.0
        return [scaled, gone] if self.indicator else [scaled]

    def column(self, cells: pd.Series[Any]) -> Column:
        """Read cells of new rows. Raises RequestError if few of them are numbers."""
        if self.truth is not None:
            words = {self.truth[0].lower(): 0.0, self.truth[1].lower(): 1.0}
            texts = cells.astype("object").map(lambda cell: str(cell).strip().lower(), na_action="ignore")
            spoken = texts.map(words | {k: v for k, v in TRUTH.items() if k not in words}).astype("float64")
            if spoken.notna().any():
                return Column(self.name, "number", spoken.reset_index(drop=True))
        return _mostly_read(understand(self.name, cells, "number"), cells, "number")


@dataclass(frozen=True)
class Date:
    """A column of dates: its place in the year, the week and, if it has times, the day, as sine and cosine; with
    ``trend``, the time itself, standardised. written: the way of writing that was found in training, and that new rows
    are read in: of a few of them nobody could tell days from months.
    """

    name: str
    mean: float
    deviation: float
    daily: bool
    trend: bool = True
    indicator: bool = False
    written: str | None = None
    kind: ClassVar[str] = "date"

    @property
    def width(self) -> int:
        """The number of columns of numbers that it becomes."""
        return 4 + 2 * self.daily + self.trend + self.indicator

    @classmethod
    def fit(cls, column: Column, train: np.ndarray, trend: bool = True) -> Date:
        """Fit to the rows ``train``."""
        number = Number.fit(column, train)
        known = column.values.dropna().to_numpy(dtype="float64")
        daily = bool((np.abs(known % DAY) > 1).any())
        return cls(column.name, number.mean, number.deviation, daily, trend, number.indicator, column.written)

    def numbers(self, column: Column) -> list[np.ndarray]:
        """Return ``width`` columns (N,); 0 for a missing date."""
        values = column.values.to_numpy(dtype="float64")
        gone = np.isnan(values)
        parts = [(values - self.mean) / self.deviation] if self.trend else []
        for period in (YEAR, WEEK, *((DAY,) if self.daily else ())):
            angle = 2 * np.pi * (values % period) / period
            parts += [np.sin(angle), np.cos(angle)]
        found = [np.where(gone, 0.0, part) for part in parts]
        return [*found, gone] if self.indicator else found

    def column(self, cells: pd.Series[Any]) -> Column:
        """Read cells of new rows. Raises RequestError if few of them are dates."""
        return _mostly_read(understand(self.name, cells, "date", self.written), cells, "date")


@dataclass(frozen=True)
class Category:
    """A column of categories: code k for the k-th of ``known``, 0 for a missing, rare or unseen one."""

    name: str
    known: tuple[str, ...]
    kind: ClassVar[str] = "category"

    @property
    def size(self) -> int:
        """The number of codes."""
        return 1 + len(self.known)

    @classmethod
    def fit(cls, column: Column, train: np.ndarray) -> Category:
        """Fit to the rows ``train``: words that occur twice at least, the most frequent first to be known."""
        counts = column.values.iloc[train].value_counts()
        kept = counts[counts >= 2].head(MOST_KNOWN).index
        return cls(column.name, tuple(sorted(map(str, kept))))

    def codes(self, column: Column) -> np.ndarray:
        """Return the codes (N,), float32."""
        import pandas as pd

        return (pd.Index(list(self.known), dtype=object).get_indexer(pd.Index(column.values)) + 1.0).astype(np.float32)

    def column(self, cells: pd.Series[Any]) -> Column:
        """Read cells of new rows."""
        return understand(self.name, cells, "category")


Encoding = Number | Date | Category


def fit(column: Column, train: np.ndarray, trend: bool = True) -> Encoding:
    """Fit the encoding of a column to the rows ``train``; ``trend``: of dates, see :class:`Date`."""
    if column.kind == "category":
        return Category.fit(column, train)
    return Date.fit(column, train, trend) if column.kind == "date" else Number.fit(column, train)


def matrices(
    encodings: Sequence[Encoding], columns: Mapping[str, Column], parts: Sequence[np.ndarray | slice]
) -> list[np.ndarray]:
    """Return prepared inputs (N, numbers + categories), float32, of each part of the rows: the numbers first, then a
    code a category. No matrix of all rows is made.
    """
    numbers = [e for e in encodings if not isinstance(e, Category)]
    categories = [e for e in encodings if isinstance(e, Category)]
    width = sum(e.width for e in numbers) + len(categories)
    rows = len(next(iter(columns.values())).values)
    sizes = [len(range(*part.indices(rows))) if isinstance(part, slice) else len(part) for part in parts]
    found = [np.empty((size, width), dtype=np.float32, order="F") for size in sizes]  # written by columns
    prepared = itertools.chain(
        (values for encoding in numbers for values in encoding.numbers(columns[encoding.name])),
        (category.codes(columns[category.name]) for category in categories),
    )
    for at, values in enumerate(prepared):
        with np.errstate(over="ignore"):  # infinite: the callers name the row
            for matrix, part in zip(found, parts, strict=True):
                matrix[:, at] = values[part]
    for k in range(len(found)):  # one by one, so that only one is there twice
        found[k] = np.ascontiguousarray(found[k])
    return found


def to_dict(encoding: Encoding) -> dict[str, Any]:
    """Return an encoding as plain data, which JSON keeps exactly."""
    content = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(encoding).items()}
    if content.get("deviation") == math.inf:
        content["deviation"] = None  # constant in training: JSON has no infinity
    return {"kind": encoding.kind} | content


def from_dict(content: Mapping[str, Any]) -> Encoding:
    """Make an encoding from plain data. Raises RequestError if it is none."""
    fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in content.items() if k != "kind"}
    if "deviation" in fields and fields["deviation"] is None:
        fields["deviation"] = math.inf
    kinds: dict[str, type[Encoding]] = {"number": Number, "date": Date, "category": Category}
    made = kinds.get(str(content.get("kind")))
    if made is None:
        raise RequestError(f"no kind of input: {content.get('kind')!r}")
    try:
        read = made(**fields)
        kept.check(read)
        return read
    except TypeError as error:
        raise RequestError(f"input {content.get('name')!r}: {error}") from None


def _mostly_read(column: Column, cells: pd.Series[Any], kind: Kind) -> Column:
    import pandas as pd

    there = cells.notna().to_numpy() & (cells.astype(str).str.strip() != "").to_numpy()
    if not there.any():
        return Column(column.name, kind, pd.Series(np.full(len(cells), np.nan)))
    read = there & ~column.missing
    if kind == "number" and column.kind == "date":
        row = int(np.flatnonzero(there)[0])
        raise RequestError(f"column {column.name!r}: {str(cells.iloc[row])!r} in row {row + 1} is a date, no number")
    if column.kind == "category" or (there.sum() and read.sum() < 0.5 * there.sum()):
        row = int(np.flatnonzero(there & (column.missing if column.kind != "category" else there))[0])
        wanted = {"category": "number or date"}.get(column.kind, column.kind)
        raise RequestError(f"column {column.name!r}: {cells.iloc[row]!r} in row {row + 1} is no {wanted}")
    return column
