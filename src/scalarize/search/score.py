"""Scores: the number by which a search compares members, computed from the metrics of their tasks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from scalarize.search.space import Array
from scalarize.utils.errors import RequestError, unknown_name_error

Score = Callable[[Array], Array]
NAMED = ("average", "worst", "gain")
MAIN = "main"


def create(text: str, tasks: Sequence[str], reference: Mapping[str, float] | None = None) -> Score:
    """Make a score from its name.

    Args:
        text: ``average``; ``worst`` (the lowest metric); ``a=2,b=1`` (a weighted mean; tasks that are not named do not
            count); ``main=b`` (the task b alone; the others are its auxiliaries); or ``gain`` (mean relative gain over
            single-task metrics, Delta_m of Maninis et al. 2019, with higher always better).
        tasks: names of the T tasks.
        reference: single-task metric by task, for ``gain``.

    Returns:
        A function from metrics (M, T), higher is better, to scores (M,).

    Raises:
        RequestError: the text or a task is unknown, or a reference is missing, zero or not finite.

    >>> create("a=3,b=1", ["a", "b"])(np.array([[0.5, 0.9]])).round(3).tolist()
    [0.6]
    >>> create("main=b", ["a", "b"])(np.array([[0.5, 0.9]])).tolist()
    [0.9]
    """
    if text == "average":
        return lambda metrics: np.asarray(metrics.mean(axis=1))
    if text == "worst":
        return lambda metrics: np.asarray(metrics.min(axis=1))
    if text == "gain":
        return _gain(tasks, reference)
    if "=" not in text:
        raise unknown_name_error(
            "score", text, NAMED, where=" (or a weighted utility such as a=2,b=1, or one main task as in main=a)"
        )
    utility = np.array(list(_utility(text, tasks).values()))
    named = utility > 0
    return lambda metrics: np.asarray(metrics[:, named] @ utility[named])


def shares(text: str, tasks: Sequence[str]) -> dict[str, float] | None:
    """Return the share of each of ``tasks`` in a score that is a weighted mean; None for ``worst`` and ``gain``.

    Raises RequestError as :func:`create` does.

    >>> shares("main=b", ["a", "b"])
    {'a': 0.0, 'b': 1.0}
    """
    if text == "average":
        return dict.fromkeys(tasks, 1.0 / len(tasks))
    if text in NAMED:
        return None
    create(text, tasks)
    return _utility(text, tasks)


def _gain(tasks: Sequence[str], reference: Mapping[str, float] | None) -> Score:
    missing = [t for t in tasks if t not in (reference or {})]
    if reference is None or missing:
        raise RequestError(f"the score 'gain' needs a single-task metric of every task; missing: {', '.join(missing)}")
    single = np.array([float(reference[t]) for t in tasks])
    if not np.isfinite(single).all() or (single == 0).any():
        raise RequestError(f"the score 'gain' needs finite single-task metrics other than 0, got {single.tolist()}")
    return lambda metrics: np.asarray(((metrics - single) / np.abs(single)).mean(axis=1))


def _utility(text: str, tasks: Sequence[str]) -> dict[str, float]:
    """Return the share of each task: of one main task all, else the weights given, scaled to sum 1."""
    main = _main(text, tasks)
    if main is not None:
        return {task: float(task == main) for task in tasks}
    utility: dict[str, float] = {}
    for name, number in _parts(text, tasks):
        if name not in tasks:
            raise unknown_name_error("task", name, tasks, where=f" in the score {text!r}")
        if name in utility:
            raise RequestError(f"score {text!r}: {name} is named twice")
        try:
            utility[name] = float(number)
        except ValueError:
            raise RequestError(f"score {text!r}: {number!r} is no number") from None
        if not (math.isfinite(utility[name]) and utility[name] >= 0):
            raise RequestError(f"score {text!r}: the weight of {name} must be finite and >= 0")
    total = sum(utility.values())
    if total <= 0:
        raise RequestError(f"score {text!r}: at least one weight must be above 0")
    return {task: utility.get(task, 0.0) / total for task in tasks}


def _main(text: str, tasks: Sequence[str]) -> str | None:
    """Return the task of ``main=TASK``; None if the text gives weights, as it does if a number follows a task main."""
    word, _, right = text.partition("=")
    if word.strip() != MAIN:
        return None
    name = right if right in tasks else right.strip()
    if _is_number(name):
        if MAIN not in tasks and name in tasks:
            raise RequestError(f"score {text!r}: a number is a weight; for the task {name} alone write {name}=1")
        return None
    if name in tasks:
        return name
    if MAIN in tasks:
        return None  # weights, of which the first is that of the task called main
    raise unknown_name_error("task", name, tasks, where=f" in the score {text!r}, which names one main task")


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _parts(text: str, tasks: Sequence[str]) -> list[tuple[str, str]]:
    """Split ``a=2,b=1`` into names and numbers. A task's own commas and equals signs do not split it."""
    found, left = [], text
    while left.strip():
        known = [t for t in tasks if left.removeprefix(t).lstrip().startswith("=") and left.startswith(t)]
        if not known and left != left.lstrip():
            left = left.lstrip()
            continue
        name = max(known, key=len, default=left.partition(",")[0].partition("=")[0])
        number, _, left = left.removeprefix(name).lstrip().removeprefix("=").partition(",")
        found.append((name if known else name.strip(), number.strip()))
    return found
