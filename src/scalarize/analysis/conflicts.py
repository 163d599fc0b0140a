"""Conflicting gradients over a training: their share, the tasks between which they occur, and the factors behind them.

Inputs are the rows of a probe with the labels of their runs: run, seed, epoch, task (``a|b``), metric ``conflict`` (a
share of the probed steps), ``conflict:LAYER``, and the training losses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from scalarize.analysis import statistics
from scalarize.analysis.statistics import Interval


def per_epoch(
    curves: pd.DataFrame, labels: Sequence[str], metrics: Mapping[str, tuple[str, int]] | None = None
) -> pd.DataFrame:
    """Return one row per run and epoch: ``share`` of conflicting pairs, mean training ``loss``, ``score``, the labels.

    Args:
        curves: the rows.
        labels: columns that name a run's setting.
        metrics: task to (the metric that counts; 1, or -1 if lower is better), for ``score``: the mean over tasks on
            validation, NaN if there is none. Default: no column ``score``.
    """
    keys = ["run", "seed", *labels, "epoch"]
    parts = {"share": curves["metric"] == "conflict", "loss": curves["metric"] == "loss"}
    if "split" in curves:
        parts["loss"] &= curves["split"] == "train"
    found = {
        name: curves[rows].groupby(keys, dropna=False)["value"].mean().rename(name) for name, rows in parts.items()
    }
    if metrics is not None:
        held = curves[curves["split"] == "validation"]
        held = held[held["metric"] == held["task"].map({task: name for task, (name, _) in metrics.items()})]
        signed = held["value"] * held["task"].map({task: sign for task, (_, sign) in metrics.items()}).astype(float)
        found["score"] = held.assign(value=signed).groupby(keys, dropna=False)["value"].agg(statistics.mean_of_all)
        found["score"] = found["score"].rename("score")
    return pd.concat(found.values(), axis=1).dropna(subset=["share"]).reset_index()


def per_run(epochs: pd.DataFrame, labels: Sequence[str]) -> pd.DataFrame:
    """Return one row per run: the mean ``share`` over its epochs, those of its first and last epoch, the number of
    ``epochs`` that were probed, and ``rise``, the change from first to last on the least-squares line over all epochs.
    """
    ordered = epochs.sort_values("epoch", kind="stable").groupby(["run", "seed", *labels], dropna=False)["share"]
    return ordered.agg(share="mean", start="first", end="last", rise=_rise, epochs="count").reset_index()


def _rise(shares: pd.Series[float]) -> float:
    """Return the change over a whole course by its trend; NaN for a single epoch."""
    if len(shares) < 2:
        return float("nan")
    return float(np.polyfit(np.arange(len(shares)), shares, 1)[0] * (len(shares) - 1))


def axis_variance(runs: pd.DataFrame, axes: Sequence[str]) -> pd.DataFrame:
    """Return the variance of ``share`` along each axis with the others fixed (Royer et al. 2023, figure 5a).

    One row per axis and seed, the median over settings; the axis ``seed`` (one row) shows the effect of chance.
    Settings with one value of the axis are left out, and so is an axis without any setting that varies.
    """
    rows = []
    for axis in axes:
        for seed, own in runs.groupby("seed"):
            value = _median_variance(own, axis, [a for a in axes if a != axis])
            rows.append({"axis": axis, "seed": seed, "variance": value})
    rows.append({"axis": "seed", "seed": -1, "variance": _median_variance(runs, "seed", list(axes))})
    return pd.DataFrame(rows).dropna(subset=["variance"]).reset_index(drop=True)


def _median_variance(runs: pd.DataFrame, axis: str, others: Sequence[str]) -> float:
    found = []
    for _, own in runs.groupby(list(others), dropna=False) if others else [((), runs)]:
        means = own.groupby(axis, dropna=False)["share"].mean()
        if len(means) > 1:
            found.append(float(means.var(ddof=1)))
    return float(np.median(found)) if found else float("nan")


def ratio(variances: pd.DataFrame, first: str, second: str) -> Interval:
    """Return log10 of the variance along ``first`` over that along ``second``, paired by seed, with its interval."""
    table = variances[variances["axis"].isin([first, second])].pivot(index="seed", columns="axis", values="variance")
    table = table.clip(lower=1e-12).dropna()
    return statistics.t_interval(np.log10(table[first] / table[second]).tolist())


def pairs(curves: pd.DataFrame) -> pd.DataFrame:
    """Return one row per pair of tasks (a, b): the share, median over epochs, mean over runs (figure 5b)."""
    rows = curves[curves["metric"] == "conflict"]
    median = rows.groupby(["task", "run"], sort=False)["value"].median().groupby("task", sort=False).mean()
    names = median.index.str.split("|", n=1)
    return pd.DataFrame({"a": names.str[0], "b": names.str[1], "share": median.to_numpy()})


def layers(curves: pd.DataFrame, labels: Sequence[str]) -> pd.DataFrame:
    """Return one row per layer and setting of the labels: the mean share over epochs, pairs and runs."""
    rows = curves[curves["metric"].str.startswith("conflict:")]
    rows = rows.assign(layer=rows["metric"].str.removeprefix("conflict:"))
    return rows.groupby([*labels, "layer"], dropna=False, sort=False)["value"].mean().rename("share").reset_index()


def layer_variance(curves: pd.DataFrame) -> pd.DataFrame:
    """Return the variance of the share over the layers of a model, as :func:`axis_variance` does along its axes: one
    row per seed, the median over runs. Models with one layer are left out.
    """
    rows = curves[curves["metric"].str.startswith("conflict:")]
    means = rows.groupby(["run", "seed", "metric"])["value"].mean()
    found = means.groupby(["run", "seed"]).var(ddof=1).dropna().groupby("seed").median()
    return pd.DataFrame({"axis": "layer", "seed": found.index, "variance": found.to_numpy()})


def relation(runs: pd.DataFrame, score: pd.Series[float]) -> float:
    """Return the rank correlation over runs between the mean share of conflicts and the final score (index: run)."""
    joined = runs.set_index("run")["share"].to_frame().join(score.rename("score"), how="inner")
    if joined["share"].nunique() < 2 or joined["score"].nunique() < 2:
        return float("nan")
    return float(joined["share"].rank().corr(joined["score"].rank()))
