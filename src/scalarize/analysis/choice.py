"""The choice of the best by a score: one function. A score that is no number never wins and never ties: it is an error
that names the run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import pandas as pd

from scalarize.utils.errors import RunError

T = TypeVar("T")


def best(candidates: Iterable[T], score: Callable[[T], float], run: Callable[[T], str], lower: bool = False) -> T:
    """Return the candidate of the best score, the first of equal ones.

    Args:
        candidates: at least one.
        score: of a candidate; infinite if it has lost for certain.
        run: its name in messages.
        lower: the least score is the best. Default: the greatest.

    Returns:
        The candidate.

    Raises:
        RunError: a score is no number.
    """
    known = list(candidates)
    scores = [score(candidate) for candidate in known]
    for candidate, found in zip(known, scores, strict=True):
        if math.isnan(found):
            raise _no_number(run(candidate))
    return known[scores.index((min if lower else max)(scores))]


def means(frame: pd.DataFrame, keys: Sequence[str], score: str, run: str) -> pd.DataFrame:
    """Return one row for each group of ``keys``, in their order: its mean ``score``, and its first ``run``.

    Args:
        frame: the rows.
        keys: columns that make a group; one that is empty is a value, too.
        score: column of the score; infinite if a row has lost for certain.
        run: column of the name in messages.

    Returns:
        Columns ``keys``, ``score`` and ``run``.

    Raises:
        RunError: a score is no number.
    """
    _check(frame, score, run)
    grouped = frame.groupby(list(keys), sort=False, dropna=False)
    return grouped.agg(**{score: (score, "mean"), run: (run, "first")}).reset_index()


def best_rows(frame: pd.DataFrame, keys: Sequence[str], score: str, run: str, lower: bool = False) -> pd.DataFrame:
    """Return the row of the best ``score`` for each group of ``keys``, in their order, the first of equal ones.

    Args:
        frame, keys, score, run: as :func:`means` takes them.
        lower: the least score is the best. Default: the greatest.

    Returns:
        Rows of ``frame``, with their index.

    Raises:
        RunError: a score is no number.
    """
    _check(frame, score, run)
    grouped = frame.groupby(list(keys), sort=False, dropna=False)[score]
    return frame.loc[grouped.idxmin() if lower else grouped.idxmax()]


def _check(frame: pd.DataFrame, score: str, run: str) -> None:
    broken = frame.loc[frame[score].isna(), run]
    if len(broken):
        raise _no_number(broken.iloc[0])


def _no_number(run: Any) -> RunError:
    return RunError(f"{run}: its score is no number, so the best cannot be chosen")
