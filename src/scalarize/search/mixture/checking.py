"""The check: what a fit predicted for runs that it did not see, beside what they gave."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from scalarize.search.mixture import intervals
from scalarize.search.mixture.fitting import Fit
from scalarize.search.mixture.forms.least_squares import Array
from scalarize.search.mixture.objective import Objective
from scalarize.search.mixture.runs import Runs
from scalarize.utils.errors import RequestError

SHIFT = 0.5  # share of predictions outside their intervals from which the level is said to have moved


@dataclass(frozen=True)
class Row:
    """One metric, or the score: over the m runs, rank correlation, regret of the mixture that the fit would have chosen
    among them (0: the best, 1: the average), mean error, share of variance explained as it is and after its mean error
    is taken off, and coverage of the intervals."""

    name: str
    runs: int
    rank: float
    regret: float
    bias: float
    explained: float
    explained_shifted: float
    coverage: float


@dataclass(frozen=True)
class Check:
    """Rows for the score, first, and for every metric; the level of the intervals; notes."""

    rows: tuple[Row, ...]
    level: float
    chosen: str
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON; what is not known is None."""

        def plain(value: Any) -> Any:
            return None if isinstance(value, float) and not np.isfinite(value) else value

        rows = [{key: plain(value) for key, value in vars(row).items()} for row in self.rows]
        return {"rows": rows, "level": self.level, "chosen": self.chosen, "notes": list(self.notes)}


def check_runs(fit: Fit, runs: Runs, objective: Objective, level: float = intervals.LEVEL) -> Check:
    """Compare predictions with ``runs``, whose domains are the fit's in order.

    Runs with the fit's scales (size, tokens) are predicted at them; others at those of the fit's largest runs.

    Raises:
        RequestError: no metric in common, or another direction of one.
    """
    common = [m for m in fit.metrics if m in runs.metrics]
    if not common:
        raise RequestError(f"the runs have none of the fit's metrics ({', '.join(fit.metrics[:5])})")
    here, there = [fit.metrics.index(m) for m in common], [runs.metrics.index(m) for m in common]
    for k, i in zip(here, there, strict=True):
        if fit.runs.higher[k] != runs.higher[i]:
            raise RequestError(
                f"metric {fit.metrics[k]!r} is better {'lower' if runs.higher[i] else 'higher'} in the fit"
            )
    truth = np.full((len(runs.weights), len(fit.metrics)), np.nan)
    truth[:, here] = runs.losses[:, there]
    predicted, low, high, notes = _predict(fit, runs, level)
    rows = []
    used = objective.utility > 0
    if used[here].sum() == used.sum():
        score, said = objective(np.where(used, truth, 0.0)), objective(predicted)
        score = np.where(np.isfinite(truth[:, used]).all(axis=1), score, np.nan)
        ends = np.array([intervals.of_score(fit, objective, w, level=level)[1:] for w in runs.weights])
        rows.append(_row(f"score ({objective.text})", score, said, ends[:, 0], ends[:, 1]))
        chosen = runs.ids[int(said.argmin())]
    else:
        notes.append("the score is not checked: the runs lack metrics that it needs")
        chosen = ""
    rows += [
        _row(fit.metrics[k], truth[:, k], predicted[:, k], low[:, k], high[:, k], -1.0 if fit.runs.higher[k] else 1.0)
        for k in here
    ]
    outside = np.mean([1.0 - r.coverage for r in rows if np.isfinite(r.coverage)])
    if outside > SHIFT:
        notes.append(
            "the intervals do not hold here: these runs are at another level than those of the fit (another size, "
            "another amount of tokens); rank and regret are what the fit is good for, or fit both with a column of size"
        )
    return Check(tuple(rows), level, chosen, tuple(notes))


def _predict(fit: Fit, runs: Runs, level: float) -> tuple[Array, Array, Array, list[str]]:
    """Predictions and interval ends, each (m, K), scale by scale."""
    names = fit.runs.scale_names
    known = all(n in runs.scale_names for n in names)
    notes = []
    if names and not known:
        notes.append(f"the runs have no {' and '.join(names)}: they are taken to be those of the fit's largest runs")
    place = [runs.scale_names.index(n) for n in names] if known else []
    scales = runs.scales[:, place] if known else np.tile(fit.largest, (len(runs.weights), 1))
    predicted = np.empty((len(runs.weights), len(fit.metrics)))
    low, high = np.empty_like(predicted), np.empty_like(predicted)
    for scale in np.unique(scales, axis=0) if names else [np.zeros(0)]:
        rows = (scales == scale).all(axis=1) if names else np.ones(len(runs.weights), dtype=bool)
        predicted[rows] = fit.predict(runs.weights[rows], scale if names else None)
        low[rows], high[rows] = intervals.of_metrics(fit, runs.weights[rows], scale if names else None, level)
        if names and (np.abs(fit.runs.scales - scale).sum(axis=1) > 1e-6).all():
            notes.append("a scale that no run of the fit has: predictions are extrapolated, and intervals are those of "
                         "the nearest one")  # fmt: skip
    return predicted, low, high, notes


def _row(name: str, truth: Array, predicted: Array, low: Array, high: Array, sign: float = 1.0) -> Row:
    seen = np.isfinite(truth)
    t, p = truth[seen], predicted[seen]
    if len(t) == 0:
        return Row(name, 0, *[float("nan")] * 6)
    spread, variance = float(t.mean() - t.min()), float(t.var())
    error = p - t
    nan = float("nan")
    return Row(
        name,
        len(t),
        rank_correlation(t, p),
        float(t[p.argmin()] - t.min()) / spread if spread > 0 else nan,
        sign * float(error.mean()),
        1.0 - float((error**2).mean()) / variance if variance > 0 else nan,
        1.0 - float(error.var()) / variance if variance > 0 else nan,
        float(((t >= low[seen]) & (t <= high[seen])).mean()),
    )


def rank_correlation(a: Array, b: Array) -> float:
    """Spearman's rank correlation of two vectors, ties averaged; nan if one is constant."""
    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(np.corrcoef(_ranks(a), _ranks(b))[0, 1])


def _ranks(values: Array) -> Array:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts - 1) / 2.0)[inverse.reshape(-1)])
