"""Parts of claims about fronts and about tuning, each a number that lies above 0 if they hold."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scalarize.analysis import fronts, pareto, statistics, trade_offs
from scalarize.analysis.claims import IntervalAt
from scalarize.analysis.optimiser_claims import part
from scalarize.analysis.statistics import Interval

LOG_RATIO = "logarithm of the deviation"


def nothing_beyond(
    models: pd.DataFrame, line: str, reference: tuple[float, float], directions: Sequence[bool]
) -> dict[str, IntervalAt]:
    """Return a part for each row: what a weight of ``line`` adds to the front of its others, minus what the row adds.

    Rows whose names differ after a hyphen's number (GradNorm's alphas) are one row, of which all models count.

    Args:
        models: as of :func:`scalarize.analysis.trade_offs.added_by_seed`.
        line: the row of the front.
        reference: the worst corner.
        directions: for x and y, True if higher is better.
    """
    found = trade_offs.added_by_seed(models.assign(row=one_name(models["row"])), line, reference, directions)
    own = found.get((trade_offs.left_out(line), "left out"), pd.Series(dtype=float))
    if own.empty or not found[line, "hypervolume"].gt(0).all():
        return {}
    added = {row: values for (row, kind), values in found.items() if kind == "added"}
    return {f"a weight of the front minus {row}, hypervolume added": part(own - more) for row, more in added.items()}


def one_name(rows: pd.Series[str]) -> pd.Series[str]:
    """Return the rows without the number of a hyper-parameter at their end: ``gradnorm-0.5`` is ``gradnorm``."""
    return rows.str.replace(r"-[0-9.]+$", "", regex=True)


def lower_left(models: pd.DataFrame, base: str, directions: Sequence[bool]) -> dict[str, IntervalAt]:
    """Return a part for each row: the least distance by which its front dominates a point of the front of ``base``.

    Every point of the front of ``base`` is looked at: by how much the best model of the row betters it on both axes
    (the smaller gain of the two), relative to the point; the least of these counts, one number a seed.

    Args:
        models: columns row, seed, x and y.
        base: the row of the smallest model.
        directions: for x and y, True if higher is better.
    """
    sign = np.where(list(directions), 1.0, -1.0)
    gains: dict[str, dict[int, float]] = {}
    for seed, own in models.groupby("seed", sort=False):
        points = {row: g[["x", "y"]].to_numpy() for row, g in own.groupby("row", sort=False)}
        if base not in points:
            continue
        edge = points[base][pareto.nondominated(points[base], list(directions))]
        for row, more in points.items():
            if row != base:
                gains.setdefault(str(row), {})[int(str(seed))] = _least_gain(edge, more, sign)
    return {f"{row}: least gain over a point of {base}'s front": part(pd.Series(g)) for row, g in gains.items()}


def _least_gain(edge: NDArray[np.float64], more: NDArray[np.float64], sign: NDArray[np.float64]) -> float:
    better = sign * (more[None] - edge[:, None]) / np.abs(edge[:, None])  # (points, models, 2)
    return float(better.min(axis=2).max(axis=1).min())


def low_weights(models: pd.DataFrame, bound: float) -> dict[str, IntervalAt]:
    """Return the share of models on the front with a weight below ``bound``, minus a half; one number a seed.

    Args:
        models: columns seed, weight and front.
        bound: of the weight.
    """
    front = models[models["front"]]
    shares = (front["weight"] < bound).groupby(front["seed"]).mean()
    return {f"share of the front with a weight below {bound:g}, minus 0.5": part(shares - 0.5)}


def tuning_over_choice(models: pd.DataFrame) -> dict[str, IntervalAt]:
    """Return the logarithm of the deviation over the grid's points, within rows, over that over rows at their best.

    Args:
        models: columns row, seed, validation and test, errors of every model.
    """
    known = models.dropna(subset="test")
    within = known["test"] - known.groupby(["row", "seed"], dropna=False)["test"].transform("mean")
    groups = known.groupby(["row", "seed"], dropna=False).ngroups
    chosen = fronts.best(known, ["row", "seed"])
    between = chosen["test"] - chosen.groupby("seed")["test"].transform("mean")
    freedom = len(known) - groups, len(chosen) - chosen["seed"].nunique()
    squares = float((within**2).sum()), float((between**2).sum())
    return {f"{LOG_RATIO} over the grid's points / over rows": _log_ratio(squares, freedom)}


def rates_at_the_edge(models: pd.DataFrame) -> str:
    """Say which rows have their best model on validation at the first or last learning rate; "" if none has.

    Args:
        models: columns row, seed, rate, and validation, the errors of every model.
    """
    rates = sorted(models["rate"].unique())
    if len(rates) < 2:
        return ""
    chosen = fronts.best(models, ["row", "seed"])
    outer = chosen[chosen["rate"].isin([rates[0], rates[-1]])]
    named = ", ".join(str(row) for row in dict.fromkeys(outer["row"]))
    return f"the best learning rate lies at the edge of the grid for {named}" if named else ""


def sparse_over_seeds(deviations: pd.DataFrame) -> dict[str, IntervalAt]:
    """Return the logarithm of the ratio: deviation of sparse tunings to that of seeds.

    Args:
        deviations: of :func:`scalarize.analysis.trade_offs.of_tunings`.
    """
    known = {str(r["row"]): (float(r["mean"]), int(r["runs"]) - 1) for _, r in deviations.iterrows()}
    if len(known) < 2:
        return {}
    (first, n), (second, m) = known["sparse grids"], known["seeds"]
    return {f"{LOG_RATIO} over sparse grids / over seeds": _log_ratio((n * first**2, m * second**2), (n, m))}


def _log_ratio(squares: tuple[float, float], freedom: tuple[int, int]) -> IntervalAt:
    """Return half the logarithm of the ratio of two variances, with the interval of the F distribution."""
    if min(freedom) < 1 or min(squares) <= 0:
        nothing = statistics.t_interval([math.nan])
        return lambda confidence: nothing
    ratio = (squares[0] / freedom[0]) / (squares[1] / freedom[1])

    def at(confidence: float) -> Interval:
        from scipy import stats

        low, high = (float(stats.f.ppf((1 + side * confidence) / 2, *freedom)) for side in (-1, 1))
        ends = [math.log(ratio / quantile) / 2 for quantile in (high, low)]
        return Interval(math.log(ratio) / 2, ends[0], ends[1], math.nan, min(freedom) + 1)

    return at
