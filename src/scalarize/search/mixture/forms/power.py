"""loss = c + exp(d . z) / (sum_i a_i(z) w_i^0.7)^b: every domain adds effective data to a metric, with less and less
return, and the loss falls as a power of their sum.

Convex in w: the sum is concave, and a negative power of a concave function is convex. a_i >= 0: domains help or are
useless; that others displace them is the simplex's doing. The exponent 0.7 was chosen on proxies of one data set (see
results/mixtures.md); as a free parameter it made few runs worse. Effective data of this kind, without the exponent,
are in Ye et al. (2024, data mixing laws, the sum of domains) and Shukor et al. (2025, scaling laws for mixtures).

z are scales of the run (log size, log tokens), if the runs have several: d shifts the level, a_i(z) = a_i exp(k_i . z).
"""

from __future__ import annotations

import numpy as np

from scalarize.search.mixture.forms.base import Law, Problem, Sample, fit_along_path
from scalarize.search.mixture.forms.least_squares import Array

GAMMA = 0.7  # how fast more of one domain ceases to help
BETA = 0.5  # what the penalty draws the power to
STRENGTHS = (3e-2, 1e-2, 3e-3, 1e-3, 3e-4)
STIFF = 100.0  # penalty on how a domain's use changes with scale, beside that on how domains differ
FLOOR = 1e-12
SLOPE_FLOOR = 1e-6  # weights below have the slope of this one: at 0 it is infinite


class Power:
    """Numbers: c, log b, d (S), log a (T), k (S x T)."""

    name = "power"
    convex = True
    smooth = True

    def fit(self, sample: Sample, start: Law | None = None) -> Law:
        """Fit one loss (see :class:`~scalarize.search.mixture.forms.base.Form`)."""
        n_scales, n_domains = sample.scales.shape[1], sample.weights.shape[1]
        law, shift, spread = fit_along_path(_problem, sample, STRENGTHS, start)
        x = law.numbers.copy()
        x[0] = shift + spread * x[0]
        x[2 + n_scales : 2 + n_scales + n_domains] -= np.log(spread) / np.exp(x[1])
        return law._replace(numbers=x)

    def predict(self, numbers: Array, weights: Array, scales: Array) -> Array:
        """Losses (m, K)."""
        parts = _Parts(numbers, scales, weights.shape[1])
        effective = (np.maximum(weights, 0.0) ** GAMMA) @ parts.strength.T + FLOOR
        return np.asarray(parts.floor + np.exp(np.clip(parts.level - parts.power * np.log(effective), -50.0, 50.0)))

    def gradient(self, numbers: Array, weights: Array, scales: Array) -> Array:
        """Derivatives (K, T)."""
        parts = _Parts(numbers, scales, weights.shape[0])
        w = np.maximum(weights, SLOPE_FLOOR)
        effective = (w**GAMMA) @ parts.strength.T + FLOOR
        growth = np.exp(np.clip(parts.level - parts.power * np.log(effective), -50.0, 50.0))
        slope = GAMMA * w ** (GAMMA - 1.0)
        return np.asarray((-parts.power * growth / effective)[:, None] * parts.strength * slope)

    def coefficients(self, n_domains: int) -> int:
        """c, b and a factor a domain."""
        return n_domains + 2


class _Parts:
    """Numbers (K, P) of K laws at one scale (S,), taken apart: c (K,), b (K,), d . z (K,), a(z) (K, T)."""

    def __init__(self, numbers: Array, scales: Array, n_domains: int) -> None:
        s = len(scales)
        self.floor = numbers[:, 0]
        self.power = np.exp(np.minimum(numbers[:, 1], 5.0))
        self.level = numbers[:, 2 : 2 + s] @ scales
        log_strength = numbers[:, 2 + s : 2 + s + n_domains]
        if s:
            tilt = numbers[:, 2 + s + n_domains :].reshape(len(numbers), s, n_domains)
            log_strength = log_strength + np.einsum("kst,s->kt", tilt, scales)
        self.strength = np.exp(np.clip(log_strength, -40.0, 40.0))


def _problem(sample: Sample, scaled: Array) -> Problem:
    n_scales, n_domains = sample.scales.shape[1], sample.weights.shape[1]
    powered = sample.weights**GAMMA
    z = sample.scales
    first = 2 + n_scales  # where log a begins

    def model(x: Array):  # type: ignore[no-untyped-def]
        power = np.exp(min(x[1], 5.0))
        log_strength = x[first : first + n_domains]
        if n_scales:
            tilt = x[first + n_domains :].reshape(n_scales, n_domains)
            parts = powered * np.exp(np.clip(log_strength + z @ tilt, -40.0, 40.0))
            effective = parts.sum(axis=1) + FLOOR
        else:
            strength = np.exp(np.clip(log_strength, -40.0, 40.0))
            parts = powered
            effective = powered @ strength + FLOOR
        logs = np.log(effective)
        growth = np.exp(np.clip(z @ x[2:first] - power * logs, -50.0, 50.0))

        def jacobian() -> Array:
            result = np.empty((len(growth), len(x)))
            result[:, 0] = 1.0
            result[:, 1] = -power * logs * growth
            result[:, 2:first] = growth[:, None] * z
            share = result[:, first : first + n_domains]
            np.multiply(parts, (-power * growth / effective)[:, None], out=share)
            if not n_scales:
                share *= strength
            for s in range(n_scales):
                begin = first + (s + 1) * n_domains
                result[:, begin : begin + n_domains] = z[:, s, None] * share
            return result

        return x[0] + growth, jacobian

    size = first + n_domains * (1 + n_scales)
    start, centre = np.zeros(size), np.zeros(size)
    start[0] = -1.0
    start[1] = centre[1] = np.log(BETA)
    start[first : first + n_domains] = -np.log(max(float(scaled.mean()) + 1.0, 0.1)) / BETA
    penalty = np.zeros((size, size))
    penalty[1, 1] = 1.0
    penalty[first : first + n_domains, first : first + n_domains] = np.eye(n_domains) - 1.0 / n_domains
    tilts = np.arange(first + n_domains, size)
    penalty[tilts, tilts] = STIFF
    return Problem(model, start, penalty, centre)
