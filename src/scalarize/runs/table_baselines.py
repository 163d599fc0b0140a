"""Rows of simple models in the comparison of a table, and what they say about the others."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from scalarize.analysis import choice, comparison
from scalarize.learners.evaluation import measure
from scalarize.runs.build import PreparedRun
from scalarize.runs.task_score import TaskScore
from scalarize.utils import files
from scalarize.utils.manifest import Manifest
from scalarize.workloads.table.baselines import NAMES, Baseline


def records(
    prepared: PreparedRun, score: TaskScore | None, seed: int, split: int | None, out: Path
) -> list[dict[str, Any]]:
    """Fit and measure the baselines of a table; those measured before are read.

    Args:
        prepared: the problem, at one split.
        score: by which rows are ranked, None for the average.
        seed: of the comparison's first runs; baselines have no seed of their own.
        split: number of the random split, None if there is only one.
        out: the comparison's directory.

    Returns:
        Records as :meth:`scalarize.runs.row_values.RowValue.record` makes them, without trainings.
    """
    kept, name = Manifest(out), f"baselines/{'one-split' if split is None else f'split-{split}'}.json"
    place = kept.place(name)
    if place.exists() and kept.there:
        kept.read(name)
    if not place.exists():
        found: dict[str, Any] = {}
        for simple in NAMES:
            model = Baseline(simple, prepared.data)
            seen = {s: measure(model, prepared.data, s, 4096, torch.device("cpu")) for s in ("validation", "test")}
            found[simple] = {s: {task: v["metric"] for task, v in seen[s].items()} for s in seen}
        kept.write_json(name, found)
    return [_record(simple, own, score, seed, split) for simple, own in files.read_json(place).items()]


def _record(
    name: str, own: Mapping[str, dict[str, float]], score: TaskScore | None, seed: int, split: int | None
) -> dict[str, Any]:
    test, validation = own["test"], own["validation"]
    return (
        {"method": name, "group": None, "seed": seed, "rate": None, "test": test}
        | {"average": sum(test.values()) / len(test), "validation": sum(validation.values()) / len(validation)}
        | {"trainings": 0, "search_trainings": 0, "directories": [], "seconds": 0.0, "diverged": []}
        | ({} if split is None else {"split": split})
        | ({"score": score.shown(test)} if score else {})
    )


def lead(rows: Sequence[Mapping[str, Any]], lower_is_better: bool, scale: float) -> str | None:
    """Say how the best of the compared models stands to the best simple one; None without simple ones.

    Args:
        rows: of the comparison, simple models among them.
        lower_is_better: direction of what ranks rows.
        scale: what numbers are multiplied by to be shown.
    """
    simple = [row for row in rows if row["method"] in NAMES]
    others = [row for row in rows if row["method"] not in NAMES]
    if not simple or not others:
        return None

    def value(row: Mapping[str, Any]) -> float:
        mean = comparison.headline(row)["mean"]
        known = mean is not None and not math.isnan(mean)
        return (-1 if lower_is_better else 1) * float(mean) if known else -math.inf

    best, model = (choice.best(own, value, lambda row: str(row["method"])) for own in (simple, others))
    shown = [f"{row['method']} has {scale * abs(value(row)):.2f}" for row in (best, model)]
    if value(best) > value(model):
        return f"A simple model is ahead of every other: {shown[0]}; the best of the others, {shown[1]}."
    return f"Simple models are behind: the best of them, {shown[0]}; {shown[1]}."
