"""The positive solution of ``G w = w^(-p)``: Nash bargaining (p = 1) and alpha-fair directions (p = 1/alpha)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from scalarize.methods.gram import Array, Gram
from scalarize.methods.solvers import min_norm

_STEPS = 200


def bargain(gram: Gram, power: float) -> Array | None:
    """Weights (T,) > 0 with ``(G w)_i = w_i^(-power)``, power > 0; None where no positive solution exists.

    With ``v = n w`` and ``k = n^(power - 1)`` it is ``C v = k v^(-power)``: the minimum of the strictly convex
    ``v.C.v/2 - sum k phi(v)``, ``phi' = v^(-power)``. Newton's method with backtracking, from the best multiple of
    the solution for orthogonal gradients. A solution does not exist where a gradient is zero or the point is
    Pareto-stationary (0 in the hull of the unit gradients).
    """
    if not gram.nonzero.all() or gram.cancels(min_norm(replace(gram, norms=np.ones(gram.n_tasks)))[0]):
        return None
    c, n = gram.cosines, gram.norms / np.exp(np.log(gram.norms).mean())
    k = n ** (power - 1.0)
    v = k ** (1.0 / (1.0 + power))
    v = v * ((k * v ** (1.0 - power)).sum() / max(float(v @ c @ v), gram.eps * float(v @ v))) ** (1.0 / (1.0 + power))

    def objective(x: Array) -> float:
        gain = np.log(x) if power == 1.0 else x ** (1.0 - power) / (1.0 - power)
        return float(0.5 * (x @ c @ x) - (k * gain).sum())

    residual = np.inf
    for _ in range(_STEPS):
        pull = k * v ** (-power)
        gradient = c @ v - pull
        residual = float(np.abs(gradient / pull).max())
        if residual < 1e-13:
            break
        # In the coordinates y = step / v the Newton matrix has about unit diagonal however v and k are scaled.
        scale = 1.0 / np.sqrt(pull / v)
        hessian = c * scale * scale[:, None] + np.diag(np.full(v.size, power))
        try:
            direction = -scale * np.linalg.solve(hessian, scale * gradient)
        except np.linalg.LinAlgError:
            break
        slope = float(gradient @ direction)
        length = min(1.0, 0.99 / max(float((-direction / v).max()), 1e-300))
        start = objective(v)
        while length > 1e-10 and objective(v + length * direction) > start + 1e-4 * length * slope + 1e-15 * abs(start):
            length *= 0.5
        if length <= 1e-10:
            break
        v = v + length * direction
    if not residual <= max(1e-9, 1e3 * gram.eps):
        return None
    # n was divided by its geometric mean m: G w = w^-p gives w = m^(-2/(1+p)) times the scaled solution.
    mean = np.exp(np.log(gram.norms).mean())
    return np.asarray(v / n * mean ** (-2.0 / (1.0 + power)))
