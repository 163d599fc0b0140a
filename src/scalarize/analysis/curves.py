"""Curves over epochs: metrics, losses and weights of runs, scores of searches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from scalarize.analysis import readers
from scalarize.analysis.read_runs import Run
from scalarize.utils.errors import RequestError
from scalarize.weights.policy import Policy

MOST_EPOCHS = 100_000  # a file with more is taken for damaged: a curve is drawn epoch by epoch


def objectives(records: pd.DataFrame) -> pd.Series[str]:
    """Return the objective of each row: the task; the domain if all rows share a task; else ``domain/task``."""
    if records["domain"].nunique() <= 1:
        return records["task"]
    if records["task"].nunique() <= 1:
        return records["domain"]
    return records["domain"] + "/" + records["task"]


def metric(run: Run, split: str = "validation") -> pd.DataFrame:
    """Return epoch x objective: the first metric of each objective on ``split``; empty if nothing was measured."""
    rows = run.records[(run.records["split"] == split) & ~run.records["metric"].isin(["loss", "weight"])]
    return _by_epoch(rows)


def headline(run: Run, split: str = "validation") -> pd.DataFrame:
    """Return :func:`metric`, or its weighted mean if the run was scored by one: epoch x the score's name."""
    frame, score = metric(run, split), run.result.get("score")
    weights = score.get("weights") if isinstance(score, Mapping) else None
    if frame.empty or not isinstance(weights, Mapping) or not set(weights) <= set(frame.columns):
        return frame
    if not all(readers.is_number(w) for w in weights.values()):
        return frame
    return pd.DataFrame({score_of(run): sum(frame[task] * weight for task, weight in weights.items())})


def score_of(run: Run) -> str:
    """Return the name of the weighted mean that a run was scored by; ``average`` if there was none."""
    score = run.result.get("score")
    return str(score.get("name")) if isinstance(score, Mapping) and score.get("weights") else "average"


def loss(run: Run, split: str = "train") -> pd.DataFrame:
    """Return epoch x objective: the loss on ``split``."""
    return _by_epoch(run.records[(run.records["split"] == split) & (run.records["metric"] == "loss")])


def _by_epoch(rows: pd.DataFrame) -> pd.DataFrame:
    rows = rows.assign(objective=objectives(rows)).drop_duplicates(["epoch", "objective"])
    order = list(dict.fromkeys(rows["objective"]))
    return rows.pivot(index="epoch", columns="objective", values="value")[order].sort_index()


def weights(run: Run) -> pd.DataFrame:
    """Return epoch x objective: the weights in use, averaged over each epoch's steps; a row holds until the next.

    Index k is the epoch from k to k + 1. Empty for a run that recorded no weights. Raises RequestError if the records
    would have more epochs than any run.
    """
    records = run.records
    rows = records[(records["split"] == "train") & (records["metric"] == "weight")]
    if rows.empty:
        return pd.DataFrame()
    per_epoch = _steps_per_epoch(records)
    epochs = max(1, round(records["step"].max() / per_epoch))
    if epochs > MOST_EPOCHS:
        raise RequestError(f"{run.path / 'records.jsonl'}: damaged: {epochs:,} epochs")
    bounds = np.arange(epochs + 1) * per_epoch
    rows = rows.assign(objective=objectives(rows))
    columns = {}
    for name, own in rows.groupby("objective", sort=False):
        own = own.sort_values("step", kind="stable").drop_duplicates("step", keep="last")
        start = np.array(own["step"], dtype=np.float64)
        value = own["value"].to_numpy(dtype=np.float64)
        start[0] = 0.0
        ends = np.append(start[1:], max(bounds[-1], start[-1]))
        area = np.concatenate([[0.0], np.cumsum(value * (ends - start))])
        columns[name] = np.diff(np.interp(bounds, np.append(start, ends[-1]), area)) / per_epoch
    return pd.DataFrame(columns, index=pd.RangeIndex(epochs, name="epoch"))


def _steps_per_epoch(records: pd.DataFrame) -> float:
    """Return the steps per epoch by the rows at the end of epochs (losses, metrics); 1 if there are none."""
    ends = records[(records["metric"] != "weight") & (records["epoch"] > 0) & (records["step"] > 0)]
    return float((ends["step"] / ends["epoch"]).median()) if len(ends) else 1.0


def shares(frame: pd.DataFrame) -> pd.DataFrame:
    """Scale rows to sum 1, with negative weights taken as 0, so that they can be stacked."""
    clipped = frame.clip(lower=0)
    return clipped.div(clipped.sum(axis=1).replace(0, np.nan), axis=0)


def policy_weights(policy: Policy) -> pd.DataFrame:
    """Return epoch x task: the simplex weights of a policy; index k is the epoch from k to k + 1.

    Raises RequestError for a policy with more epochs than any training.
    """
    if policy.epochs > MOST_EPOCHS:
        raise RequestError(f"a policy over {policy.epochs} epochs cannot be drawn: {MOST_EPOCHS} at most")
    table = [policy.weights_at(epoch) for epoch in range(policy.epochs)]
    return pd.DataFrame(np.array(table), columns=list(policy.tasks), index=pd.RangeIndex(policy.epochs, name="epoch"))


def band(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return epoch x (mean, low, high): each run averaged over objectives, then mean and extremes over runs."""
    averages = [frame.mean(axis=1, skipna=False) for frame in frames if not frame.empty]
    if not averages:
        return pd.DataFrame(columns=["mean", "low", "high"])
    together = pd.concat(averages, axis=1)
    return pd.DataFrame({"mean": together.mean(axis=1), "low": together.min(axis=1), "high": together.max(axis=1)})


def generations(lineage: pd.DataFrame) -> pd.DataFrame:
    """Return one row per generation: epoch, best, median and worst score of its members, without NaN scores."""
    grouped = lineage.groupby("generation")
    scores = grouped["score"]
    return pd.DataFrame(
        {"epoch": grouped["epoch"].max(), "best": scores.max(), "median": scores.median(), "worst": scores.min()}
    )
