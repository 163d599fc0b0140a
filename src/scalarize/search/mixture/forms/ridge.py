"""loss = level + s . (w, sqrt w, log w): ridge regression, its penalty chosen by leave-one-out error in closed form.

No law, and not convex: it is there for tables that no law fits. log w is taken no lower than the least positive
weight among the runs, or 1e-4.
"""

from __future__ import annotations

import numpy as np

from scalarize.search.mixture.forms.base import Law, Sample
from scalarize.search.mixture.forms.least_squares import Array

LOWEST = 1e-4
PENALTIES = np.logspace(-3, 4, 29)


class Ridge:
    """Numbers: level, floor of log w, slopes of w, sqrt w and log w (3 T), of z (S), of its products with w (S x T)."""

    name = "ridge"
    convex = False
    smooth = True

    def fit(self, sample: Sample, start: Law | None = None) -> Law:
        """Fit one loss (see :class:`~scalarize.search.mixture.forms.base.Form`)."""
        floor = max(float(sample.weights[sample.weights > 0].min()), LOWEST)
        design = _features(sample.weights, sample.scales, np.array(floor))
        centre, spread = design.mean(axis=0), design.std(axis=0)
        spread = np.where(spread > 1e-9, spread, np.inf)  # a constant column says nothing
        level = float(sample.loss.mean())
        slopes, error = _leave_one_out((design - centre) / spread, sample.loss - level)
        slopes = slopes / spread
        scale = float(sample.loss.var()) or 1.0
        return Law(np.concatenate([[level - centre @ slopes, floor], slopes]), 0.0, 0.5 * error / scale)

    def predict(self, numbers: Array, weights: Array, scales: Array) -> Array:
        """Losses (m, K)."""
        z = np.broadcast_to(scales, (len(weights), len(scales)))
        columns = [row[0] + _features(weights, z, row[1]) @ row[2:] for row in numbers]
        return np.stack(columns, axis=1)

    def gradient(self, numbers: Array, weights: Array, scales: Array) -> Array:
        """Derivatives (K, T)."""
        t, s = len(weights), len(scales)
        w = np.maximum(weights, 1e-6)
        slopes = numbers[:, 2:]
        result = slopes[:, :t] + slopes[:, t : 2 * t] * 0.5 / np.sqrt(w)
        result = result + slopes[:, 2 * t : 3 * t] * np.where(weights > numbers[:, 1:2], 1.0 / w, 0.0)
        for k in range(s):
            begin = 3 * t + s + k * t
            result = result + scales[k] * slopes[:, begin : begin + t]
        return np.asarray(result)

    def coefficients(self, n_domains: int) -> int:
        """Three slopes a domain."""
        return 3 * n_domains


def _features(weights: Array, scales: Array, floor: Array) -> Array:
    w = np.maximum(weights, 0.0)
    products = [scales[:, k, None] * w for k in range(scales.shape[1])]
    return np.concatenate([w, np.sqrt(w), np.log(np.maximum(w, floor)), scales, *products], axis=1)


def _leave_one_out(design: Array, loss: Array) -> tuple[Array, float]:
    """Slopes (P,) at the penalty of least leave-one-out error, and that error."""
    gram = design.T @ design
    values, vectors = np.linalg.eigh(gram)
    values = np.maximum(values, 0.0)
    rotated = design @ vectors
    projected = rotated.T @ loss
    squares = rotated**2
    slopes, best = np.zeros(design.shape[1]), np.inf
    for penalty in PENALTIES:
        inverse = 1.0 / (values + penalty)
        left = 1.0 - squares @ inverse - 1.0 / len(design)  # 1 - leverage, the mean's included
        errors = (loss - rotated @ (inverse * projected)) / np.maximum(left, 1e-6)
        error = float((errors**2).mean())
        if error < best:
            best, slopes = error, vectors @ (inverse * projected)
    return slopes, best
