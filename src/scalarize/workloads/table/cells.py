"""Cells of a column: numbers, dates or words, whatever way they are written."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from scalarize.workloads.table import dates
from scalarize.workloads.table.dates import MOSTLY, each_word, seconds_of
from scalarize.workloads.table.options import MISSING_WORDS

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["number", "date", "category"]
LOOKED_AT = 2_000  # cells by which a column of text is judged before all of it is converted
TRUTH = {"true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0, "y": 1.0, "n": 0.0, "t": 1.0, "f": 0.0}
MONEY = r"^\s*([+-]?)\s*(?:[$€£¥]|USD|EUR|GBP)?\s*([+-]?\d+|[+-]?\d{1,3}(?:,\d{3})+)(\.\d+)?\s*(?:[$€£¥%])?\s*$"


@dataclass(frozen=True)
class Column:
    """A column whose cells are of one kind.

    values: float64 (N,) of numbers, seconds since 1970 of dates, NaN if missing; of categories, the words, None if
    missing. truth: numbers that are written as true and false, with the two words. strays: words in a column of
    numbers or dates, which count as missing, and the first row (from 1) of each. whole: every number is whole.
    how: what was understood beyond plain numbers, in words. written: the way in which dates are written, as
    ``strptime`` has it, or ``ISO8601``; None if there are several.
    """

    name: str
    kind: Kind
    values: pd.Series[Any]
    truth: tuple[str, str] | None = None
    strays: dict[str, int] = field(default_factory=dict)
    how: str | None = None
    written: str | None = None

    @functools.cached_property
    def missing(self) -> np.ndarray:
        """True (N,) if a cell holds nothing that can be used."""
        found: np.ndarray = self.values.isna().to_numpy()
        return found

    def stray_words(self) -> str | None:
        """Say which words stand among the numbers, and where; None if there are none."""
        if not self.strays:
            return None
        some = [f"{word!r} in row {row}" for word, row in list(self.strays.items())[:3]]
        more = f" and {len(self.strays) - 3} more" if len(self.strays) > 3 else ""
        return f"{self.name}: {', '.join(some)}{more}: no {self.kind}, counted as missing"


def understand(name: str, cells: pd.Series[Any], asked: str | None = None, written: str | None = None) -> Column:
    """Find out of which kind the cells of a column are, and convert them.

    Numbers and truth values stay; text is read as numbers, dates or truth values if at least 95 % of the cells that
    hold something can be, and is categories otherwise.

    Args:
        name: of the column.
        cells: its cells, any dtype.
        asked: ``number``, ``category`` or ``date`` if the user said so. Default: found out.
        written: of dates, how others of the column were written. Default: found out.

    Returns:
        The column.
    """
    import pandas as pd
    from pandas.api import types

    cells = cells.reset_index(drop=True)
    if isinstance(cells.dtype, pd.CategoricalDtype):
        cells = cells.astype(cells.cat.categories.dtype)
    if asked == "category":
        return Column(name, "category", _words(cells))
    if types.is_bool_dtype(cells.dtype):
        return Column(name, "number", cells.astype("float64"), truth=("False", "True"))
    if types.is_datetime64_any_dtype(cells.dtype):
        return Column(name, "date", seconds_of(cells))
    if types.is_timedelta64_dtype(cells.dtype):
        return Column(name, "number", cells.dt.total_seconds(), how="read as seconds")
    if types.is_numeric_dtype(cells.dtype):
        values = cells.astype("float64")
        return Column(name, "date" if asked == "date" else "number", values)
    return _text(name, _words(cells), asked, written)


def _words(cells: pd.Series[Any]) -> pd.Series[Any]:
    """Return cells as text without blanks at the ends; None for empty ones."""
    from pandas.api import types

    if types.is_float_dtype(cells.dtype) and bool((cells.dropna() % 1 == 0).all()):
        cells = cells.astype("Int64")  # a code of a category with holes is 3, not 3.0
    found = cells.astype("object")
    there = cells.notna()
    found = found.where(there, None)
    # Distinct words are converted once each: a column of a million cells has few.
    codes, distinct = _factorise(found)
    texts = np.array([str(word).strip() or None for word in distinct] + [None], dtype=object)
    import pandas as pd

    return pd.Series(texts[codes], dtype=object)


def _factorise(cells: pd.Series[Any]) -> tuple[np.ndarray, list[Any]]:
    import pandas as pd

    try:
        codes, distinct = pd.factorize(cells, use_na_sentinel=True)
    except TypeError:  # lists or arrays, as Parquet may hold them: their text is what can be compared
        codes, distinct = pd.factorize(cells.map(str, na_action="ignore"), use_na_sentinel=True)
    return codes, list(distinct)  # -1, a missing cell, is the last of what the caller appends


def _text(name: str, words: pd.Series[Any], asked: str | None, written: str | None) -> Column:
    import pandas as pd

    there = words.notna()
    distinct = pd.unique(words[there])
    if not len(distinct):
        return Column(name, "category", words)
    lower = {word: word.lower() for word in distinct}
    spoken = [word for word in distinct if lower[word] not in MISSING_WORDS]
    if asked is None and spoken and all(lower[word] in TRUTH for word in spoken):
        values = {TRUTH[lower[word]]: word for word in spoken}
        if len(values) == 2 and len(spoken) == 2:
            truth = words.map({word: TRUTH[lower[word]] for word in spoken}).astype("float64")
            return Column(name, "number", truth, (values[0.0], values[1.0]), _strays(words, there & truth.isna()))
    if asked in (None, "number"):
        number, how = _numbers(words, there)
        if number is not None and (asked or _mostly(words, there, number)):
            return Column(name, "number", number, None, _strays(words, there & number.isna()), how)
    if asked in (None, "date"):
        date, written = dates.read(words, there, written)
        if date is not None and (asked or _mostly(words, there, date)):
            return Column(name, "date", date, None, _strays(words, there & date.isna()), written=written)
    return Column(name, "category", words)


def _mostly(words: pd.Series[Any], there: pd.Series[Any], converted: pd.Series[Any]) -> bool:
    """Return True if what could not be converted is little, or says itself that it is missing."""
    lost = there & converted.isna()
    if not bool(lost.any()):
        return True
    spoken = lost & ~words[lost].str.lower().isin(MISSING_WORDS).reindex(words.index, fill_value=False)
    kept = int((there & converted.notna()).sum())
    return kept > 0 and kept >= MOSTLY * (kept + int(spoken.sum()))


def _strays(words: pd.Series[Any], lost: pd.Series[Any]) -> dict[str, int]:
    found: dict[str, int] = {}
    for row, word in words[lost].drop_duplicates().items():
        found[str(word)] = int(row) + 1  # type: ignore[call-overload]
    return found


def _numbers(words: pd.Series[Any], there: pd.Series[Any]) -> tuple[pd.Series[Any] | None, str | None]:
    """Return words as numbers, plain ones, else with currency, percent and thousands; None if few are."""
    import pandas as pd

    sample = words[there].head(LOOKED_AT)
    # A number with a leading zero, as a postal code has it, is a word.
    if bool((sample.str.fullmatch(r"0\d+") & (sample.str.len() > 1)).mean() > 0.02):
        return None, None
    plain = pd.to_numeric(sample, errors="coerce")
    if plain.notna().any():
        number = each_word(words, lambda some: pd.to_numeric(some, errors="coerce"))
        plainly = number.notna().sum()
        if plainly >= 0.5 * int(there.sum()):
            return number.where(np.isfinite(number) | number.isna(), np.nan), None
    if bool(sample.str.fullmatch(MONEY).mean() >= MOSTLY):
        number = each_word(words, _money)
        return number, f"read as numbers, as {sample.iloc[0]!r} is {number[there].iloc[0]:g}"
    if not plain.notna().any():
        return None, None
    return each_word(words, lambda some: pd.to_numeric(some, errors="coerce")), None


def _money(words: pd.Series[Any]) -> pd.Series[Any]:
    import pandas as pd

    parts = words.str.extract(MONEY)
    digits = parts[0].fillna("") + parts[1].str.replace(",", "") + parts[2].fillna("")
    return pd.to_numeric(digits, errors="coerce")
