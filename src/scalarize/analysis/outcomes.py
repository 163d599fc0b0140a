"""Results of named rows: averages with intervals, verdicts against one of them, gains over single-task models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from scalarize.analysis import comparison, statistics
from scalarize.analysis.statistics import in_words
from scalarize.analysis.study_tables import StudyTable


def records(frame: pd.DataFrame, value: str = "test") -> list[dict[str, Any]]:
    """Convert rows (row, seed, run, task, ``value``) to the runs that :mod:`scalarize.analysis.comparison` reads."""
    found = []
    for _, own in frame.groupby("run", sort=False):
        head = own.iloc[0]
        values = dict(zip(own["task"], own[value], strict=True))
        record = {"method": str(head["row"]), "group": None, "seed": int(head["seed"]), "test": values}
        found.append(record | {"average": statistics.mean_of_all(own[value]), "trainings": 1, "search_trainings": 0})
    return found


def table(
    runs: Sequence[Mapping[str, Any]],
    title: str,
    focus: str,
    lower_is_better: bool = False,
    reported: Mapping[str, float] | None = None,
    note: str = "",
) -> StudyTable:
    """Return mean and interval of every row, beside the paper's average; verdicts of ``focus`` against each other row.

    Intervals are Student's; for the average the bootstrap's is given as well, which is too short for few seeds.
    """
    rows = []
    for row in comparison.rows(runs):
        resampled = statistics.bootstrap_interval([r["average"] for r in runs if r["method"] == row["method"]])
        for task, cell in {"average": row["average"], **row["tasks"]}.items():
            numbers = {k: cell[k] for k in ("mean", "low", "high", "deviation")}
            shown = {"seeds": row["seeds"], "trainings": row["trainings"]}
            paper = (reported or {}).get(row["method"]) if task == "average" else None
            extra = {"bootstrap_low": resampled.low, "bootstrap_high": resampled.high} if task == "average" else {}
            rows.append({"method": row["method"], "task": task, **numbers, **extra, **shown, "paper": paper})
    return StudyTable("comparison", title, pd.DataFrame(rows), note, tuple(verdicts(runs, focus, lower_is_better)))


def verdicts(runs: Sequence[Mapping[str, Any]], focus: str, lower_is_better: bool = False) -> list[str]:
    """Compare all rows with ``focus``: those better than it, then ``focus`` against each (Holm's correction over these
    pairs).
    """
    everything = comparison.compare(runs, focus, lower_is_better)
    pairs = [v for v in everything if focus in (v.first, v.second)]
    better = [v.second for v in pairs if v.outcome == "loses"]
    worse = [v.second for v in pairs if v.outcome == "wins"]
    summary = f"Better than {focus} on the average: {', '.join(better) or 'none'}; worse: {', '.join(worse) or 'none'}"
    summary += f"; not distinguishable: {len(pairs) - len(better) - len(worse)} of {len(pairs)}."
    return [summary, *(v.sentence for v in pairs)]


def gains(measures: pd.DataFrame, single: pd.DataFrame, value: str = "test") -> pd.DataFrame:
    """Return Delta_m of each run in percent: the mean over metrics of the relative gain over the single-task model.

    The single-task model has the same seed (Maninis et al. 2019, equation 4). Rows (row, seed, run, task ``delta``,
    ``value``).
    """
    keys = ["seed", "task", "metric"]
    both = measures.merge(single[[*keys, value]], on=keys, suffixes=("", "_single"))
    both = both[both["metric"] != "loss"]
    gain = 100 * both["sign"] * (both[value] - both[f"{value}_single"]) / both[f"{value}_single"].abs()
    found = both.assign(gain=gain).groupby(["row", "seed", "run"], sort=False)["gain"].mean().reset_index()
    return found.rename(columns={"gain": value}).assign(task="delta")


def contrast(frame: pd.DataFrame, value: str, first: str, second: str) -> tuple[pd.DataFrame, list[str]]:
    """Return ``value`` by row and kind with intervals; compare the kinds ``first`` and ``second`` paired by seed."""
    rows, sentences, p_values, gaps = [], [], [], []
    for (row, kind), own in frame.groupby(["row", "kind"], sort=False):
        rows.append({"row": row, "kind": kind} | statistics.t_interval(own[value].tolist()).to_dict())
    for row, own in frame.groupby("row", sort=False):
        wide = own.pivot_table(index="seed", columns="kind", values=value)
        if first in wide and second in wide:
            pair = wide[[first, second]].dropna()
            if pair.empty:  # no seed that both have
                continue
            gap = statistics.paired_difference(pair[first].tolist(), pair[second].tolist())
            gaps.append((str(row), statistics.t_interval((pair[first] - pair[second]).tolist())))
            p_values.append(gap.p)
    for (row, interval), p in zip(gaps, statistics.holm(p_values), strict=True):
        verdict = "a difference" if p < statistics.ALPHA else "not distinguishable"
        text = f"{row}: {first} minus {second} {in_words(interval)}, corrected p = {p:.3f}: {verdict}."
        sentences.append(text)
    return pd.DataFrame(rows), sentences
