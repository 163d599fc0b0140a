"""Overfitting: average validation score, summed training loss and gradient norm over epochs, and the onset of decline.

Inputs are tidy records (epoch, split, task, metric, value) with the labels ``row``, ``kind``, ``seed`` and ``run``.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from scalarize.analysis import statistics
from scalarize.analysis.statistics import in_words

KEYS = ["run", "row", "kind", "seed", "epoch"]
VALIDATION, LOSS, NORM = "validation", "training loss", "gradient norm"


def per_epoch(curves: pd.DataFrame, first: Mapping[str, tuple[str, int]]) -> pd.DataFrame:
    """Return KEYS, ``what`` and ``value``, one row per run, epoch and quantity.

    Validation is the mean over tasks (negated if lower is better), the training loss the sum over tasks.

    Args:
        curves: the records.
        first: task to (the metric that counts; 1, or -1 if lower is better).
    """
    held = curves[curves["split"] == "validation"]
    held = held[held["metric"] == held["task"].map({task: name for task, (name, _) in first.items()})]
    signs = held["task"].map({task: sign for task, (_, sign) in first.items()})
    score = held.assign(value=held["value"] * signs).groupby(KEYS)["value"].agg(statistics.mean_of_all)
    loss = curves[(curves["split"] == "train") & (curves["metric"] == "loss")].groupby(KEYS)["value"].sum()
    norm = curves[curves["metric"] == "gradient-norm"].groupby(KEYS)["value"].mean()
    parts = {VALIDATION: score, LOSS: loss, NORM: norm}
    return pd.concat([p.reset_index().assign(what=what) for what, p in parts.items() if len(p)], ignore_index=True)


def bands(epochs: pd.DataFrame, what: str) -> pd.DataFrame:
    """Return mean and 95 % interval over seeds (as the paper draws): row, kind, epoch, mean, low, high."""
    rows = []
    for (row, kind, epoch), own in epochs[epochs["what"] == what].groupby(["row", "kind", "epoch"], sort=False):
        interval = statistics.t_interval(own["value"].tolist())
        rows.append({"row": row, "kind": kind, "epoch": epoch} | interval.to_dict())
    return pd.DataFrame(rows)


def peaks(epochs: pd.DataFrame) -> pd.DataFrame:
    """Return one row per run: ``onset``, ``peak`` and ``drop``.

    ``onset`` is the epoch of the best validation score, ``peak`` that score, and ``drop`` its distance to the score at
    the last epoch. If the last epoch is the best, overfitting has not begun and the drop is 0.
    """
    rows = []
    held = epochs[epochs["what"] == VALIDATION].dropna(subset="value")
    for (run, row, kind, seed), own in held.groupby(["run", "row", "kind", "seed"], sort=False):
        course = own.sort_values("epoch")
        best = course.iloc[int(course["value"].to_numpy().argmax())]
        drop = float(best["value"] - course["value"].iloc[-1])
        place = {"run": run, "row": row, "kind": kind, "seed": seed}
        rows.append(place | {"onset": int(best["epoch"]), "peak": float(best["value"]), "drop": drop})
    return pd.DataFrame(rows)


def sentences(found: pd.DataFrame) -> list[str]:
    """Say onset and drop of every row and kind in words."""
    lines = []
    for (row, kind), own in found.groupby(["row", "kind"], sort=False):
        onset = statistics.t_interval([float(v) for v in own["onset"]])
        drop = statistics.t_interval(own["drop"].tolist())
        lines.append(
            f"{row}, {kind}: validation is best at epoch {in_words(onset, 1)} and ends {in_words(drop)} below it."
        )
    return lines
