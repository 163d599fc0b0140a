"""Forms of a regression from task weights to losses: the laws that a proxy search fits (lower is better throughout).

A form is fitted to runs, weights (n, T) and losses (n, K), one law per loss, and gives a function from weights (m, T)
to losses (m, K). Each loss is fitted by itself and predictions are combined, because the mean of several exponentials
is no exponential.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Predict = Callable[[Array], Array]


class Form(NamedTuple):
    """A form of law: ``fit(weights, losses)`` gives its prediction; ``coefficients(T)`` are fitted per loss."""

    fit: Callable[[Array, Array], Predict]
    coefficients: Callable[[int], int]


def fit_log_linear(weights: Array, losses: Array) -> Predict:
    """Fit loss = c + exp(t . w) by Huber regression: a data mixing law of Ye et al. (2024).

    The weights sum to 1, so the law needs no factor before the exponential. A small penalty on the spread of t, chosen
    by (linearised) leave-one-out error, holds the tasks to which hardly any run gives weight (our choice).
    """
    laws = np.array([_log_linear_law(weights, y) for y in losses.T])
    return lambda w: np.asarray(laws[:, 0] + np.exp(np.minimum(w @ laws[:, 1:].T, _EXPONENT_CAP)))


_EXPONENT_CAP = 50.0  # far above any loss, far below overflow
_HUBER = 0.3  # where the squared error turns linear, in standard deviations of the loss (our choice)
_PENALTIES = (1e-3, 1e-4, 1e-5, 1e-6)


def _log_linear_law(weights: Array, loss: Array) -> Array:
    """Return (c, t) of one loss (n,): penalties from strong to weak, each fit starting from the one before."""
    spread = float(np.std(loss)) or 1.0
    scaled = (loss - loss.min()) / spread
    start = weights.T @ weights + 1e-3 * np.eye(weights.shape[1])
    law = np.concatenate([[-1.0], np.linalg.solve(start, weights.T @ np.log(scaled + 1.0))])
    best, best_error = law, np.inf
    for penalty in _PENALTIES:
        law, error = _levenberg_marquardt(weights, scaled, law, penalty * len(loss))
        if error < best_error:
            best, best_error = law, error
    return np.concatenate([[loss.min() + spread * best[0]], best[1:] + np.log(spread)])


def _levenberg_marquardt(
    weights: Array, loss: Array, law: Array, penalty: float, steps: int = 100
) -> tuple[Array, float]:
    """Run damped Gauss-Newton with Huber weights; return the law and its leave-one-out error."""
    n, n_tasks = weights.shape
    ridge = np.zeros((n_tasks + 1, n_tasks + 1))
    ridge[1:, 1:] = penalty * (np.eye(n_tasks) - 1.0 / n_tasks)

    def objective(x: Array) -> tuple[float, Array, Array]:
        growth = np.exp(np.minimum(weights @ x[1:], _EXPONENT_CAP))
        residual = x[0] + growth - loss
        return float(_huber(residual).sum() + 0.5 * x @ ridge @ x), residual, growth

    def curvature() -> tuple[Array, Array, Array]:
        trust = _HUBER / np.maximum(np.abs(residual), _HUBER)
        jacobian = np.concatenate([np.ones((n, 1)), growth[:, None] * weights], axis=1)
        scaled = jacobian * trust[:, None]
        return jacobian, scaled, scaled.T @ jacobian + ridge

    value, residual, growth = objective(law)
    damping = 1e-2
    for _ in range(steps):
        jacobian, scaled, hessian = curvature()
        gradient = scaled.T @ residual + ridge @ law
        damped = hessian + damping * np.diag(np.diag(hessian) + 1e-9)
        candidate = law - np.linalg.solve(damped, gradient)
        tried, *rest = objective(candidate)
        if tried >= value:
            damping *= 5.0
            if damping > 1e9:
                break
            continue
        small = value - tried <= 1e-7 * value
        law, value, (residual, growth) = candidate, tried, rest
        damping = max(damping / 5.0, 1e-9)
        if small:
            break
    jacobian, scaled, hessian = curvature()
    leverage = np.einsum("ij,ji->i", scaled, np.linalg.solve(hessian + 1e-9 * np.eye(n_tasks + 1), jacobian.T))
    return law, float(_huber(residual / np.maximum(1.0 - leverage, 1e-2)).mean())


def _huber(residual: Array) -> Array:
    size = np.abs(residual)
    return np.where(size <= _HUBER, 0.5 * residual**2, _HUBER * (size - 0.5 * _HUBER))


def ridge(*features: str) -> Callable[[Array, Array], Predict]:
    """Make a ridge regression on functions of w (``w``, ``sqrt``, ``log``), its penalty chosen by leave-one-out error.

    Features are standardised; log w is taken no lower than the smallest positive weight among the runs, or 1e-4.
    """

    def fit(weights: Array, losses: Array) -> Predict:
        floor = max(float(weights[weights > 0].min()), 1e-4)
        design = _features(weights, features, floor)
        centre, spread = design.mean(axis=0), design.std(axis=0) + 1e-12
        level = losses.mean(axis=0)
        slopes = _leave_one_out_ridge((design - centre) / spread, losses - level)
        return lambda w: np.asarray(level + (_features(w, features, floor) - centre) / spread @ slopes)

    return fit


def _features(weights: Array, names: tuple[str, ...], floor: float) -> Array:
    columns: dict[str, Predict] = {"w": lambda w: w, "sqrt": np.sqrt, "log": lambda w: np.log(np.maximum(w, floor))}
    return np.concatenate([columns[name](weights) for name in names], axis=1)


def _leave_one_out_ridge(design: Array, losses: Array) -> Array:
    """Return slopes (features, K), each column with the penalty of least leave-one-out error (in closed form)."""
    u, s, vt = np.linalg.svd(design, full_matrices=False)
    projected = u.T @ losses
    slopes = np.zeros((design.shape[1], losses.shape[1]))
    best = np.full(losses.shape[1], np.inf)
    for penalty in np.logspace(-3, 4, 29):
        shrink = s**2 / (s**2 + penalty)
        left = 1.0 - (u**2 @ shrink + 1.0 / len(design))  # 1 - leverage, the mean's included
        errors = (losses - u @ (shrink[:, None] * projected)) / np.maximum(left, 1e-6)[:, None]
        error = (errors**2).mean(axis=0)
        better = error < best
        best = np.where(better, error, best)
        slopes[:, better] = (vt.T @ ((s / (s**2 + penalty))[:, None] * projected))[:, better]
    return slopes


FORMS: dict[str, Form] = {
    "log-linear": Form(fit_log_linear, lambda t: t + 1),
    "ridge-w": Form(ridge("w"), lambda t: t),
    "ridge-sqrt": Form(ridge("sqrt"), lambda t: t + 1),
    "ridge-log": Form(ridge("log"), lambda t: t + 1),
    "ridge-w-sqrt-log": Form(ridge("w", "sqrt", "log"), lambda t: 3 * t),
}
