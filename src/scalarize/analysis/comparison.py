"""From single runs to the rows and verdicts of ``compare``.

The unit of every interval and test is what was drawn anew: a search, if runs are retrains of searches (their mean is
taken first, so the variance of the search counts), otherwise a seed.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from scalarize.analysis import resampling, statistics, verdict_words
from scalarize.analysis.statistics import Difference, Interval
from scalarize.analysis.verdict_words import Unit
from scalarize.utils.errors import RequestError, unknown_name_error

Run = Mapping[str, Any]
Outcome = Literal["wins", "ties", "loses"]


@dataclass(frozen=True)
class Verdict:
    """The outcome for ``first`` against ``second`` on the average metric, and the numbers it is based on.

    ``difference`` is first - second in the metric's own units; ``p`` is corrected over the ``family`` pairs that are
    tested together; ``detectable`` is the true difference that these runs would find 4 times in 5, before correction.
    """

    first: str
    second: str
    outcome: Outcome
    difference: Difference
    p: float
    family: int
    detectable: float
    sentence: str


def methods_of(runs: Sequence[Run]) -> list[str]:
    """Return the methods in order of their first run. Raises RequestError for no run, double runs or unequal tasks."""
    if not runs:
        raise RequestError("nothing to compare: no runs")
    tasks = list(runs[0]["test"])
    seen = set()
    for run in runs:
        key = (run["method"], run.get("group"), run["seed"], run.get("split"))
        if key in seen:
            search = "" if key[1] is None else f" of search {key[1]}"
            raise RequestError(f"two runs of {key[0]} have seed {key[2]}{search}")
        seen.add(key)
        if set(run["test"]) != set(tasks):
            raise RequestError(f"runs of {run['method']} and {runs[0]['method']} are over different tasks")
    return list(dict.fromkeys(str(run["method"]) for run in runs))


def units(runs: Sequence[Run], method: str, task: str | None = None) -> dict[Unit, float]:
    """Return one value per split, search or seed: what ranks rows, or the metric of ``task``; others are averaged."""
    values: dict[Unit, list[float]] = {}
    for run in runs:
        if run["method"] == method:
            group = run.get("group")
            unit = ("seed", int(run["seed"])) if group is None else ("search", int(group))
            unit = ("split", int(run["split"])) if run.get("split") is not None else unit
            value = headline(run) if task is None else run["test"][task]
            values.setdefault(unit, []).append(math.nan if value is None else float(value))
    return {unit: float(np.mean(found)) for unit, found in sorted(values.items())}


def rows(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Return one row per method, in order of first appearance: the ``rows`` of ``compare --json``.

    ``trainings`` sums the cost of each run, and ``search_trainings`` once per search. ``runs`` counts the runs behind
    the row, ``searches`` the searches (None without), ``seeds`` the seeds that they used.
    """
    table = []
    for method in methods_of(runs):
        own = [run for run in runs if run["method"] == method]
        searches = {run.get("group"): float(run.get("search_trainings", 0)) for run in own}
        searches.pop(None, None)
        averages = [{k: v for k, v in run.items() if k != "score"} for run in own]
        ratio = test_ratio(own)
        scored = {"score": _interval(units(own, method), ratio).to_dict()} if "score" in own[0] else {}
        tasks = {task: _interval(units(own, method, task), ratio).to_dict() for task in own[0]["test"]}
        table.append(
            {
                "method": method,
                "seeds": len({run["seed"] for run in own}),
                "average": _interval(units(averages, method), ratio).to_dict(),
                "tasks": tasks,
                **scored,
                "trainings": round(sum(run["trainings"] for run in own) + sum(searches.values()), 1),
                "runs": len(own),
                "searches": len(searches) or None,
            }
            | ({} if ratio is None else {"splits": len({run["split"] for run in own})})
        )
    return table


def test_ratio(runs: Sequence[Run]) -> float | None:
    """Return test rows per training row if runs are over several random splits, else None."""
    return next((float(run["test_ratio"]) for run in runs if run.get("split") is not None), None)


def _interval(values: Mapping[Unit, float], ratio: float | None) -> Interval:
    found = list(values.values())
    return statistics.t_interval(found) if ratio is None else resampling.resampled_interval(found, ratio)


def headline(of: Mapping[str, Any]) -> Any:
    """Return what a run or a row is ranked by: its score if one was asked for, else its average."""
    return of["score"] if "score" in of else of["average"]


def ranking(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return how the rows of a comparison's result are ranked.

    Args:
        result: content of ``result.json``.

    Returns:
        ``title`` of the column that ranks: ``average``, or the score's name; ``lower_is_better``: the columns of
        which lower is better, ``average`` for that one.

    >>> ranking({"lower_is_better": ["error"], "score": {"name": "main=error", "lower_is_better": False}})
    {'title': 'main=error', 'lower_is_better': ['error']}
    """
    stated, score = result.get("lower_is_better", []), result.get("score")
    columns = sorted({str(c) for c in stated}) if isinstance(stated, list) else []
    if not isinstance(score, Mapping):
        return {"title": "average", "lower_is_better": columns}
    columns = [c for c in columns if c != "average"] + (["average"] if score.get("lower_is_better") else [])
    return {"title": str(score.get("name")), "lower_is_better": columns}


def difference(
    first: Mapping[Unit, float],
    second: Mapping[Unit, float],
    confidence: float = statistics.CONFIDENCE,
    ratio: float | None = None,
) -> Difference:
    """Return first - second: paired over common units if all units of one side occur on the other (at least 2).

    ratio: test rows per training row if units are splits of one data set, whose training rows overlap; else None.
    """
    common = [unit for unit in first if unit in second]
    if ratio is not None and common:
        sides = [first[u] for u in common], [second[u] for u in common]
        return resampling.resampled_difference(*sides, ratio, confidence)
    if len(common) >= 2 and len(common) == min(len(first), len(second)):
        return statistics.paired_difference([first[u] for u in common], [second[u] for u in common], confidence)
    return statistics.welch_difference(list(first.values()), list(second.values()), confidence)


def compare(
    runs: Sequence[Run], focus: str | None = None, lower_is_better: bool = False, score: str | None = None
) -> list[Verdict]:
    """Return one verdict per pair on the average metric, or on the score of that name, which the runs hold.

    Without ``focus`` all pairs are corrected together. With it, its pairs come first and are corrected among
    themselves, the others among theirs. Raises RequestError for a focus without runs.
    """
    methods = methods_of(runs)
    if focus is not None and focus not in methods:
        raise unknown_name_error("method", focus, methods)
    everything = list(itertools.combinations(methods, 2))
    planned = [(focus, other) for other in methods if other != focus] if focus else everything
    others = [pair for pair in everything if focus not in pair] if focus else []
    values = {method: units(runs, method) for method in methods}
    scale, ratio = display_scale(runs), test_ratio(runs)
    verdicts = []
    for family in (planned, others):
        found = [difference(values[a], values[b], ratio=ratio) for a, b in family]
        corrected = statistics.holm([d.p for d in found])
        for (a, b), d, p in zip(family, found, corrected, strict=True):
            outcome = _outcome(d, float(p), lower_is_better)
            detectable = _detectable(values[a], values[b], d)
            text = verdict_words.sentence(a, b, outcome, d, float(p), len(family), detectable, scale, values, score)
            verdicts.append(Verdict(a, b, outcome, d, float(p), len(family), detectable, text))
    return verdicts


def sentences(
    runs: Sequence[Run], focus: str | None = None, lower_is_better: bool = False, score: str | None = None
) -> list[str]:
    """Return the ``verdicts`` of ``compare --json``: one plain sentence per pair."""
    return [verdict.sentence for verdict in compare(runs, focus, lower_is_better, score)]


def display_scale(runs: Sequence[Run]) -> float:
    """Return 100 if every metric lies in [0, 1] (numbers are shown in points, as in the papers), else 1."""
    numbers = [v for run in runs for v in (headline(run), *run["test"].values())]
    shown = [v for v in numbers if v is not None and math.isfinite(v)]
    return 100.0 if all(0 <= v <= 1 for v in shown) else 1.0


def best(table: Sequence[Mapping[str, Any]], lower_is_better: Collection[str] = ()) -> dict[str | None, set[str]]:
    """Return the methods with the best mean for each task (None: what rows are ranked by); ties to 1e-12 share it."""
    found: dict[str | None, set[str]] = {}
    for task in (None, *(table[0]["tasks"] if table else ())):
        cells = {row["method"]: (headline(row) if task is None else row["tasks"][task])["mean"] for row in table}
        known = {method: mean for method, mean in cells.items() if mean is not None and not math.isnan(mean)}
        if known:
            lower = (task or "average") in lower_is_better
            top = min(known.values()) if lower else max(known.values())
            found[task] = {method for method, mean in known.items() if abs(mean - top) < 1e-12}
    return found


def _outcome(d: Difference, p: float, lower_is_better: bool) -> Outcome:
    if math.isnan(p) or p >= statistics.ALPHA or d.mean == 0:
        return "ties"
    return "wins" if (d.mean > 0) != lower_is_better else "loses"


def _detectable(first: Mapping[Unit, float], second: Mapping[Unit, float], d: Difference) -> float:
    if d.test == "paired":
        gaps = [first[unit] - second[unit] for unit in first if unit in second]
        return statistics.minimum_detectable_difference(statistics.t_interval(gaps).deviation, len(gaps), paired=True)
    deviations = [statistics.t_interval(list(side.values())).deviation for side in (first, second)]
    return statistics.minimum_detectable_difference(math.sqrt(float(np.mean(np.square(deviations)))), min(d.n))
