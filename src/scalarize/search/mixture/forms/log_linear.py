"""loss = c + exp(t . w): a data mixing law of Ye et al. (2024), by Huber regression. Convex in w.

Scales z of the run, if there are several, enter as further features: z and its products with w.
"""

from __future__ import annotations

import numpy as np

from scalarize.search.mixture.forms.base import Law, Problem, Sample, fit_along_path
from scalarize.search.mixture.forms.least_squares import Array

STRENGTHS = (1e-3, 1e-4, 1e-5, 1e-6)
CAP = 50.0  # far above any loss, far below overflow


class LogLinear:
    """Numbers: c, t (T), d (S), k (S x T)."""

    name = "log-linear"
    convex = True
    smooth = True

    def fit(self, sample: Sample, start: Law | None = None) -> Law:
        """Fit one loss (see :class:`~scalarize.search.mixture.forms.base.Form`)."""
        law, shift, spread = fit_along_path(_problem, sample, STRENGTHS, start)
        x = law.numbers.copy()
        x[0] = shift + spread * x[0]
        x[1 : 1 + sample.weights.shape[1]] += np.log(spread)  # the weights sum to 1
        return law._replace(numbers=x)

    def predict(self, numbers: Array, weights: Array, scales: Array) -> Array:
        """Losses (m, K)."""
        slopes, level = _at(numbers, scales, weights.shape[1])
        return np.asarray(numbers[:, 0] + np.exp(np.minimum(weights @ slopes.T + level, CAP)))

    def gradient(self, numbers: Array, weights: Array, scales: Array) -> Array:
        """Derivatives (K, T)."""
        slopes, level = _at(numbers, scales, len(weights))
        return np.asarray(np.exp(np.minimum(slopes @ weights + level, CAP))[:, None] * slopes)

    def coefficients(self, n_domains: int) -> int:
        """c and a slope a domain."""
        return n_domains + 1


def _at(numbers: Array, scales: Array, n_domains: int) -> tuple[Array, Array]:
    """Slopes (K, T) and levels (K,) of K laws at one scale (S,)."""
    s = len(scales)
    slopes = numbers[:, 1 : 1 + n_domains]
    if s:
        tilt = numbers[:, 1 + n_domains + s :].reshape(len(numbers), s, n_domains)
        slopes = slopes + np.einsum("kst,s->kt", tilt, scales)
    return slopes, numbers[:, 1 + n_domains : 1 + n_domains + s] @ scales


def _problem(sample: Sample, scaled: Array) -> Problem:
    w, z = sample.weights, sample.scales
    n_scales, n_domains = z.shape[1], w.shape[1]
    design = np.concatenate([w, z, *(z[:, s, None] * w for s in range(n_scales))], axis=1)

    def model(x: Array):  # type: ignore[no-untyped-def]
        growth = np.exp(np.minimum(design @ x[1:], CAP))
        return x[0] + growth, lambda: np.concatenate([np.ones((len(growth), 1)), growth[:, None] * design], axis=1)

    size = 1 + design.shape[1]
    penalty = np.zeros((size, size))
    penalty[1 : 1 + n_domains, 1 : 1 + n_domains] = np.eye(n_domains) - 1.0 / n_domains
    tilts = np.arange(1 + n_domains + n_scales, size)
    penalty[tilts, tilts] = 1.0
    start = np.zeros(size)
    start[0] = -1.0
    first = np.linalg.solve(w.T @ w + 1e-3 * np.eye(n_domains), w.T @ np.log(scaled + 1.0))
    start[1 : 1 + n_domains] = first
    return Problem(model, start, penalty, np.zeros(size))
