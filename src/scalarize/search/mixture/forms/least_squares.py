"""Robust nonlinear least squares: Levenberg and Marquardt's steps with Huber weights and a quadratic penalty."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# At x (P,): predictions (n,), and a function that gives their Jacobian (n, P), called only at accepted points.
Model = Callable[[Array], tuple[Array, Callable[[], Array]]]

HUBER = 0.3  # residual from which the squared error turns linear, in standard deviations of the loss (our choice)


class Solution(NamedTuple):
    """Parameters (P,), and the mean Huber error of the linearised leave-one-out residuals."""

    x: Array
    error: float


def minimise(
    model: Model,
    target: Array,
    start: Array,
    penalty: Array,
    centre: Array,
    steps: int = 60,
    tolerance: float = 1e-6,
    score: bool = True,
) -> Solution:
    """Minimise sum(huber(model - target)) + (x - centre)' penalty (x - centre) / 2.

    Args:
        model: predictions and their Jacobian.
        target: losses (n,), scaled to a standard deviation of about 1.
        start: parameters (P,) to start from.
        penalty: positive semi-definite matrix (P, P).
        centre: parameters (P,) that the penalty draws to.
        steps: most steps, accepted or not.
        tolerance: relative decrease of the objective at which the iteration ends.
        score: if the leave-one-out error is wanted (else nan).

    Returns:
        Solution: the last accepted parameters and their leave-one-out error.
    """
    x = start
    value, residual, jacobian = _objective(model, target, x, penalty, centre)
    scaled, gradient, hessian = _curvature(residual, jacobian(), x, penalty, centre)
    damping = 1e-2
    for _ in range(steps):
        damped = hessian + np.diag(damping * (np.diag(hessian) + 1e-9))
        candidate = x - np.linalg.solve(damped, gradient)
        tried, tried_residual, tried_jacobian = _objective(model, target, candidate, penalty, centre)
        if not tried < value:
            damping *= 5.0
            if damping > 1e9:
                break
            continue
        small = value - tried <= tolerance * value
        x, value, residual, jacobian = candidate, tried, tried_residual, tried_jacobian
        damping = max(damping / 5.0, 1e-9)
        if small:
            break
        scaled, gradient, hessian = _curvature(residual, jacobian(), x, penalty, centre)
    if not score:
        return Solution(x, float("nan"))
    solved = np.linalg.solve(hessian + 1e-9 * np.eye(len(x)), scaled.T)
    leverage = np.einsum("ij,ji->i", scaled, solved)
    return Solution(x, float(huber(residual / np.maximum(1.0 - leverage, 1e-2)).mean()))


def huber(residual: Array) -> Array:
    """The Huber error of every residual: squared and halved below ``HUBER``, linear above."""
    size = np.abs(residual)
    return np.where(size <= HUBER, 0.5 * residual**2, HUBER * (size - 0.5 * HUBER))


def _objective(
    model: Model, target: Array, x: Array, penalty: Array, centre: Array
) -> tuple[float, Array, Callable[[], Array]]:
    predicted, jacobian = model(x)
    residual = predicted - target
    away = x - centre
    return float(huber(residual).sum() + 0.5 * away @ penalty @ away), residual, jacobian


def _curvature(residual: Array, jacobian: Array, x: Array, penalty: Array, centre: Array) -> tuple[Array, Array, Array]:
    """The weighted Jacobian, the gradient, and Gauss and Newton's Hessian."""
    root = np.sqrt(HUBER / np.maximum(np.abs(residual), HUBER))
    scaled = jacobian * root[:, None]
    gradient = scaled.T @ (root * residual) + penalty @ (x - centre)
    return scaled, gradient, scaled.T @ scaled + penalty
