"""Many models of one problem: which are not dominated, who made them, and how much tuning decides."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from scalarize.analysis import pareto, statistics

MODEL = ["run", "row", "weight", "rate", "value", "seed"]


def plane(measures: pd.DataFrame, x: tuple[str, str], y: tuple[str, str], split: str = "test") -> pd.DataFrame:
    """A row a model: MODEL, ``x`` and ``y``, the metrics (task, name) on ``split``, and ``front``: not dominated.

    Models without a finite value of both are left out.
    """
    frame = measures.drop_duplicates("run")[MODEL].set_index("run")
    directions = []
    for letter, (task, metric) in (("x", x), ("y", y)):
        own = measures[(measures["task"] == task) & (measures["metric"] == metric)]
        directions.append(bool((own["sign"] > 0).all()))
        frame = frame.join(own.set_index("run")[split].rename(letter), how="inner")
    known: pd.DataFrame = frame[np.isfinite(frame["x"]) & np.isfinite(frame["y"])]
    front = pareto.nondominated(known[["x", "y"]].to_numpy(), directions)
    return known.assign(front=front).reset_index()


def who_is_ahead(frame: pd.DataFrame, reference: str) -> str:
    """How many of the models on the front are those of ``reference``, in a sentence."""
    front = frame[frame["front"]]
    own = int((front["row"] == reference).sum())
    others = front.loc[front["row"] != reference, "row"].value_counts()
    listed = ", ".join(f"{name} {count}" for name, count in others.items()) or "none"
    total = f"{int((frame['row'] == reference).sum())} of {len(frame)} models are {reference}"
    return f"{own} of {len(front)} models that no other dominates are {reference}; others: {listed} ({total})."


def averages(results: pd.DataFrame) -> pd.DataFrame:
    """A row a model: MODEL, and the mean over tasks of ``validation`` and ``test`` in percent of error (100 - 100 x
    metric where higher is better, 100 x metric where lower is). A model has no mean where a task has no number.
    """
    found = results.copy()
    for split in ("validation", "test"):
        error = np.where(found["sign"] > 0, 1 - found[split], found[split])
        found[split] = 100 * error
    models = found.groupby(MODEL, sort=False, dropna=False)[["validation", "test"]]
    return models.agg(statistics.mean_of_all).reset_index()


def best(models: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Of each group of ``keys`` the model with the least validation error; its ``test`` was not looked at."""
    known = models.dropna(subset="validation")  # a group without any has no best model
    places = known.groupby(keys, sort=False, dropna=False)["validation"].idxmin()
    return models.loc[places].reset_index(drop=True)


def spread(models: pd.DataFrame) -> list[str]:
    """The deviation of the test error over the grid's points beside that over rows, each at its best point."""
    within = float(models.groupby("row")["test"].std().median())
    between = float(best(models, ["row"])["test"].std())
    if math.isnan(within) or math.isnan(between):
        return ["One point of the grid or one row: no spread to compare."]
    said = f"Test error deviates by {within:.2f} over the points of the grid (median over rows)"
    return [f"{said}, by {between:.2f} over rows, each at its best point on validation."]
