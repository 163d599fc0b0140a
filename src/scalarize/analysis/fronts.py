"""Many models of one problem: the non-dominated ones, the methods that made them, and the effect of tuning."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from scalarize.analysis import choice, pareto, statistics

MODEL = ["run", "row", "weight", "rate", "value", "seed"]


def plane(measures: pd.DataFrame, x: tuple[str, str], y: tuple[str, str], split: str = "test") -> pd.DataFrame:
    """Return one row per model: MODEL, ``x`` and ``y`` (metrics on ``split``), and ``front``: True if not dominated.

    Models without a finite value of both metrics are left out.
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


def front_in_words(frame: pd.DataFrame, reference: str) -> str:
    """Say in a sentence how many models on the front are those of ``reference``."""
    front = frame[frame["front"]]
    own = int((front["row"] == reference).sum())
    others = front.loc[front["row"] != reference, "row"].value_counts()
    listed = ", ".join(f"{name} {count}" for name, count in others.items()) or "none"
    total = f"{int((frame['row'] == reference).sum())} of {len(frame)} models are {reference}"
    return f"{own} of {len(front)} models that no other dominates are {reference}; others: {listed} ({total})."


def averages(results: pd.DataFrame) -> pd.DataFrame:
    """Return one row per model: MODEL, and the mean error over tasks of ``validation`` and ``test``, in percent.

    The error is 100 - 100 x metric if higher is better, and 100 x metric if lower is. A model has no mean if a task has
    no number.
    """
    found = results.copy()
    for split in ("validation", "test"):
        error = np.where(found["sign"] > 0, 1 - found[split], found[split])
        found[split] = 100 * error
    models = found.groupby(MODEL, sort=False, dropna=False)[["validation", "test"]]
    return models.agg(statistics.mean_of_all).reset_index()


def best(models: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Return the model with the least validation error of each group of ``keys``; ``test`` plays no part.

    Raises RunError that names a model whose validation error is no number.
    """
    named = models if "run" in models else models.assign(run=models["row"])
    return choice.best_rows(named, keys, "validation", "run", lower=True)[list(models)].reset_index(drop=True)


def diverged_last(models: pd.DataFrame) -> pd.DataFrame:
    """Return the models with an infinite validation error where it is no number: those have lost for certain.

    For grids whose largest learning rates diverge, as the papers' do; :func:`diverged_in_words` names them.
    """
    return models.assign(validation=models["validation"].fillna(math.inf))


def diverged_in_words(models: pd.DataFrame) -> list[str]:
    """Return one sentence that names the models without a number on validation, or none; three names at most."""
    lost = models.loc[models["validation"].isna(), "run"].drop_duplicates().tolist()
    more = f" and {len(lost) - 3} more" if len(lost) > 3 else ""
    return [f"No number on validation, so never the best: {', '.join(map(str, lost[:3]))}{more}."] if lost else []


def spread(models: pd.DataFrame) -> list[str]:
    """Return the deviation of the test error over the points of the grid, beside that over rows, each at its best
    point.
    """
    within = float(models.groupby("row")["test"].std().median())
    between = float(best(models, ["row"])["test"].std())
    if math.isnan(within) or math.isnan(between):
        return ["One point of the grid or one row: no spread to compare."]
    said = f"Test error deviates by {within:.2f} over the points of the grid (median over rows)"
    return [f"{said}, by {between:.2f} over rows, each at its best point on validation."]
