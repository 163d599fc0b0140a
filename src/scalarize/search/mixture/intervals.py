"""Prediction intervals from held-out runs: CV+ (Barber, Candes, Ramdas and Tibshirani 2021).

Each run's held-out error is added to the prediction of the laws that did not see it. Errors grow with the loss (a
mixture that starves a metric is hard to predict), so that they are divided by a width, linear in the predicted loss,
and multiplied by the width at the mixture asked for. The guarantee, for runs drawn
like those of the table, is 1 - 2 alpha; coverage is 1 - alpha in practice. It is about a new run, noise included, and
says nothing of runs of another size: errors are taken from the runs of the nearest size.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scalarize.search.mixture.fitting import Fit
from scalarize.search.mixture.forms.least_squares import Array
from scalarize.search.mixture.objective import Objective

LEVEL = 0.9
PAIRS = 4000
LEAST = 0.2  # width, as a share of the mean error, below which no mixture is taken to be predictable (our choice)


class Interval(NamedTuple):
    """A prediction and the ends of its interval."""

    value: float
    low: float
    high: float

    def to_dict(self) -> dict[str, float | None]:
        """Plain JSON: an end that is not known is None."""
        return {name: float(x) if np.isfinite(x) else None for name, x in self._asdict().items()}


def of_metrics(fit: Fit, weights: Array, scale: Array | None = None, level: float = LEVEL) -> tuple[Array, Array]:
    """Ends (m, K), (m, K) of the intervals of every metric's loss at mixtures (m, T)."""
    by_fold, here = _by_fold(fit, weights, scale), fit.predict(weights, scale)
    residuals, near = fit.residuals, fit.at_scale(scale)
    low, high = np.empty(by_fold.shape[1:]), np.empty(by_fold.shape[1:])
    for k in range(by_fold.shape[2]):
        seen = near & np.isfinite(residuals[:, k])
        size, said = np.abs(residuals[seen, k]), fit.held_out[seen, k]
        width = _width(said, size)
        low[:, k], high[:, k] = _cv_plus(
            by_fold[:, :, k], fit.fold_of[seen], size / width(said), width(here[:, k]), level
        )
    return low, high


def of_score(fit: Fit, objective: Objective, w: Array, scale: Array | None = None, level: float = LEVEL) -> Interval:
    """The interval of the score at one mixture (T,)."""
    errors, said, folds = score_errors(fit, objective, scale)
    by_fold = np.array([objective(losses) for losses in _by_fold(fit, w[None], scale)])
    here, width = objective(fit.predict(w[None], scale)), _width(said, np.abs(errors))
    low, high = _cv_plus(by_fold, folds, np.abs(errors) / width(said), width(here), level)
    return Interval(float(here[0]), float(low[0]), float(high[0]))


def of_gain(
    fit: Fit, objective: Objective, w: Array, prior: Array, scale: Array | None = None, level: float = LEVEL
) -> Interval:
    """The interval of score(prior) - score(w), from differences of the errors of pairs of runs."""
    errors, predicted, folds = score_errors(fit, objective, scale)
    if len(errors) < 2:
        before, after = objective(fit.predict(np.stack([prior, w]), scale))
        return Interval(float(before - after), -np.inf, np.inf)
    width = _width(predicted, np.abs(errors))
    pair = np.random.default_rng(0).integers(len(errors), size=(2, PAIRS))
    one, other = pair[:, pair[0] != pair[1]]
    both = np.stack([prior, w])
    by_fold = np.array([objective(losses) for losses in _by_fold(fit, both, scale)])
    said = objective(fit.predict(both, scale))
    sizes = np.abs(errors[one] - errors[other]) / np.hypot(width(predicted[one]), width(predicted[other]))
    here = np.hypot(*width(said))
    low, high = _cv_plus(by_fold[:, :1] - by_fold[:, 1:], folds[one], sizes, np.array([here]), level)
    return Interval(float(said[0] - said[1]), float(low[0]), float(high[0]))


def score_errors(fit: Fit, objective: Objective, scale: Array | None = None) -> tuple[Array, Array, NDArray[np.int64]]:
    """Held-out errors (r,) of the score, the predictions (r,) they belong to, and their folds (r,), over the r runs
    near ``scale`` in which every metric that counts was measured."""
    used = objective.utility > 0
    seen = fit.at_scale(scale) & np.isfinite(fit.runs.losses[:, used]).all(axis=1)
    losses = np.where(used, fit.runs.losses[seen], 0.0)
    said = objective(np.where(used, fit.held_out[seen], 0.0))
    return np.asarray(objective(losses) - said), said, fit.fold_of[seen]


def _width(predicted: Array, sizes: Array) -> Callable[[Array], Array]:
    """The size of an error to expect at a predicted loss: a line through the sizes (n,), no lower than LEAST of their
    mean and no higher than their greatest."""
    mean = float(sizes.mean()) if len(sizes) else 1.0
    if len(sizes) < 20 or np.ptp(predicted) <= 0 or mean <= 0:
        return lambda at: np.full(len(at), max(mean, 1e-300))
    slope, level = np.polyfit(predicted - predicted.mean(), sizes, 1)
    centre, most = float(predicted.mean()), float(sizes.max())
    return lambda at: np.clip(level + slope * (at - centre), LEAST * mean, most)


def _by_fold(fit: Fit, weights: Array, scale: Array | None) -> Array:
    return np.array([fit.predict(weights, scale, fold) for fold in range(len(fit.folds))])


def _cv_plus(
    by_fold: Array, folds: NDArray[np.int64], sizes: Array, widths: Array, level: float
) -> tuple[Array, Array]:
    """Ends (m,), (m,) from predictions (F, m), the fold (n,) and the relative size (n,) of every held-out error, and
    the width (m,) at the points asked for."""
    n = len(sizes)
    if n < 2:
        return np.full(by_fold.shape[1], -np.inf), np.full(by_fold.shape[1], np.inf)
    away = sizes[:, None] * widths  # (n, m)
    rank = min(level * (n + 1) / n, 1.0)
    low = np.quantile(by_fold[folds] - away, 1.0 - rank, axis=0, method="lower")
    high = np.quantile(by_fold[folds] + away, rank, axis=0, method="higher")
    return low, high
