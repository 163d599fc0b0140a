"""Dates as they are written: the way of writing is found once, from words all over a column, and kept for new rows."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

MOSTLY = 0.95  # share of the cells that are numbers or dates, from which the others are strays
LOOKED_AT = 200  # distinct words, spread over the column, by which the way of writing is found
ISO = "ISO8601"


def read(
    words: pd.Series[Any], there: pd.Series[Any], written: str | None = None
) -> tuple[pd.Series[Any] | None, str | None]:
    """Read words as dates.

    Args:
        words: of a column, (N,).
        there: True (N,) where a cell holds something.
        written: how others of the column were written. Default: found out; where days and months could both come first
            in every word, months do.

    Returns:
        Seconds since 1970, NaN for what is no date, and the way of writing, None if there are several; None twice if
        the words are no dates.
    """
    distinct = words[there].drop_duplicates()
    places = np.unique(np.linspace(0, len(distinct) - 1, min(len(distinct), LOOKED_AT)).round().astype(int))
    sample = distinct.iloc[places]
    if not bool(sample.str.contains(r"\d").mean() > MOSTLY) or bool((sample.str.len() < 6).mean() > 0.1):
        return None, None
    for way in (written, None) if written is not None else (*_ways(sample), None):
        try:
            if written is None and _parsed(sample, way).notna().mean() < MOSTLY:
                continue
            found = each_word(words, lambda some, way=way: seconds_of(_parsed(some, way)))  # type: ignore[misc]
        except (ValueError, TypeError, OverflowError):
            continue
        if written is not None and way is not None:  # a date with its year first says itself what it is
            plain = each_word(words, lambda some: seconds_of(_parsed(some, ISO)))
            found = found.fillna(plain)
            if not bool(found[there].notna().any()):
                continue
        return found, way
    return None, None


def _ways(sample: pd.Series[Any]) -> list[str]:
    """Return ways of writing, the one that reads most of ``sample`` first."""
    from pandas.tseries.api import guess_datetime_format

    found: dict[str, float] = {ISO: float(_parsed(sample, ISO).notna().mean())}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for days_first in (False, True):
            for word in sample.iloc[:: max(1, len(sample) // 10)]:
                way = guess_datetime_format(str(word), dayfirst=days_first)
                if way is not None and way not in found:
                    found[way] = float(_parsed(sample, way).notna().mean())
    return sorted(found, key=lambda way: -found[way])


def _parsed(words: pd.Series[Any], way: str | None) -> pd.Series[Any]:
    """Read words as one way of writing has them; None: each as it seems."""
    import pandas as pd

    more: dict[str, Any] = {} if way is None else {"format": way}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # which way of writing it is, pandas asks
        return pd.to_datetime(words, errors="coerce", utc=True, **more)


def each_word(words: pd.Series[Any], convert: Callable[[pd.Series[Any]], pd.Series[Any]]) -> pd.Series[Any]:
    """Return ``convert`` of words as numbers; each distinct word is given once: a column of a million cells has few."""
    import pandas as pd

    codes, distinct = pd.factorize(words)
    values = convert(pd.Series(distinct, dtype=object)).to_numpy(dtype="float64")
    return pd.Series(np.append(values, np.nan)[codes], index=words.index)


def seconds_of(dates: pd.Series[Any]) -> pd.Series[Any]:
    """Return seconds since 1970, float64."""
    import pandas as pd

    if isinstance(dates.dtype, pd.ArrowDtype):  # whose arithmetic is not that of dates (pandas 3.1.1)
        dates = pd.to_datetime(dates.astype(object), utc=True)
    start = pd.Timestamp(0, tz="UTC") if dates.dt.tz is not None else pd.Timestamp(0)
    return (dates - start).dt.total_seconds().astype("float64").reset_index(drop=True)
