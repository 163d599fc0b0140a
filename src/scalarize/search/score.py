"""Scores: the number by which a search compares members, computed from the metrics of their tasks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from scalarize.search.space import Array
from scalarize.utils.errors import RequestError, unknown_name_error

Score = Callable[[Array], Array]


def create(text: str, tasks: Sequence[str], reference: Mapping[str, float] | None = None) -> Score:
    """Make a score from its name.

    Args:
        text: ``average``; ``worst`` (the lowest metric); ``a=2,b=1`` (a weighted mean; tasks that are not named do not
            count); or ``gain`` (mean relative gain over single-task metrics, Delta_m of Maninis et al. 2019, with
            higher always better).
        tasks: names of the T tasks.
        reference: single-task metric by task, for ``gain``.

    Returns:
        A function from metrics (M, T), higher is better, to scores (M,).

    Raises:
        RequestError: the text or a task is unknown, or a reference is missing, zero or not finite.

    >>> create("a=3,b=1", ["a", "b"])(np.array([[0.5, 0.9]])).round(3).tolist()
    [0.6]
    """
    if text == "average":
        return lambda metrics: np.asarray(metrics.mean(axis=1))
    if text == "worst":
        return lambda metrics: np.asarray(metrics.min(axis=1))
    if text == "gain":
        return _gain(tasks, reference)
    if "=" not in text:
        raise unknown_name_error(
            "score", text, ("average", "worst", "gain"), where=" (or a weighted utility such as a=2,b=1)"
        )
    utility = _utility(text, tasks)
    named = utility > 0
    return lambda metrics: np.asarray(metrics[:, named] @ utility[named])


def _gain(tasks: Sequence[str], reference: Mapping[str, float] | None) -> Score:
    missing = [t for t in tasks if t not in (reference or {})]
    if reference is None or missing:
        raise RequestError(f"the score 'gain' needs a single-task metric of every task; missing: {', '.join(missing)}")
    single = np.array([float(reference[t]) for t in tasks])
    if not np.isfinite(single).all() or (single == 0).any():
        raise RequestError(f"the score 'gain' needs finite single-task metrics other than 0, got {single.tolist()}")
    return lambda metrics: np.asarray(((metrics - single) / np.abs(single)).mean(axis=1))


def _utility(text: str, tasks: Sequence[str]) -> Array:
    utility = dict.fromkeys(tasks, 0.0)
    for part in text.split(","):
        name, _, number = part.partition("=")
        if name not in utility:
            raise unknown_name_error("task", name, tasks, where=f" in the score {text!r}")
        try:
            utility[name] = float(number)
        except ValueError:
            raise RequestError(f"score {text!r}: {number!r} is no number") from None
        if not (math.isfinite(utility[name]) and utility[name] >= 0):
            raise RequestError(f"score {text!r}: the weight of {name} must be finite and >= 0")
    values = np.array([utility[t] for t in tasks])
    if values.sum() <= 0:
        raise RequestError(f"score {text!r}: at least one weight must be above 0")
    return np.asarray(values / values.sum())
