"""The positive solution of ``G w = w^(-p)``: Nash bargaining (p = 1) and alpha-fair directions (p = 1/alpha)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from scalarize.methods.evidence import Evidence
from scalarize.methods.gram import Array, Gram
from scalarize.methods.solvers import min_norm

_STEPS = 200


def bargain_or_shortest(evidence: Evidence, power: float) -> tuple[Array, Gram, bool]:
    """Return the bargain of this step's gradients; if there is none, the shortest vector in their hull.

    Gradients that nearly oppose each other leave few digits of a float32 Gramian, from some 160 degrees on: it is then
    made anew in float64, which tells angles up to 179.9999 degrees from opposite ones.

    Args:
        evidence: with ``gramian`` (T, T).
        power: p > 0 in ``G w = w^(-p)``.

    Returns:
        Weights (T,), the Gramian that they were made from, and False if they are the shortest vector's.

    Raises:
        RunError: the Gramian is not finite.
    """
    assert evidence.gramian is not None
    gram = Gram.of(evidence.gramian)
    weights = bargain(gram, power)
    doubtful = weights is None or gram.cancels(weights * gram.norms, slack=1e5)
    if doubtful and gram.nonzero.all() and evidence.gramian64 is not None:
        gram = Gram.of(evidence.gramian64())
        weights = bargain(gram, power)
    return (min_norm(gram)[0], gram, False) if weights is None else (weights, gram, True)


def bargain(gram: Gram, power: float) -> Array | None:
    """Return weights (T,) > 0 with ``(G w)_i = w_i^(-power)``, power > 0; None if no positive solution exists.

    With ``v = n w`` and ``k = n^(power - 1)`` it is ``C v = k v^(-power)``: the minimum of the strictly convex
    ``v.C.v/2 - sum k phi(v)``, ``phi' = v^(-power)``. Newton's method, damped if entries fall, from the best
    multiple of the solution for orthogonal gradients. There is no solution if a gradient is zero or the point is
    Pareto-stationary (0 in the hull of the unit gradients).
    """
    if not gram.nonzero.all() or gram.cancels(min_norm(replace(gram, norms=np.ones(gram.n_tasks)))[0]):
        return None
    c, n = gram.cosines, gram.norms / np.exp(np.log(gram.norms).mean())
    k = n ** (power - 1.0)
    v = k ** (1.0 / (1.0 + power))
    v = v * ((k * v ** (1.0 - power)).sum() / max(float(v @ c @ v), gram.eps * float(v @ v))) ** (1.0 / (1.0 + power))

    # While no entry falls by more than this share, the curvature at most doubles, and each step descends.
    fall = 1.0 - 0.5 ** (1.0 / (1.0 + power))
    solved = False
    for _ in range(_STEPS):
        pull = k * v ** (-power)
        gradient = c @ v - pull
        slack = np.maximum(1e-9, 1e3 * gram.eps) * pull + 100.0 * gram.eps * (np.abs(c) @ v)
        solved = bool((np.abs(gradient) <= slack).all())
        # In the coordinates y = step / v the Newton matrix has about unit diagonal however v and k are scaled.
        scale = np.sqrt(v / pull)
        hessian = c * scale * scale[:, None] + np.diag(np.full(v.size, power))
        try:
            direction = -scale * np.linalg.solve(hessian, scale * gradient)
        except np.linalg.LinAlgError:
            break
        deepest = float((-direction / v).max())
        v = v + min(1.0, fall / deepest if deepest > 0 else 1.0) * direction
        if solved:  # Newton's method doubles the digits: this last step brings all there are
            break
    if not solved or not (np.isfinite(v).all() and (v > 0).all()):
        return None
    # n was divided by its geometric mean m: G w = w^-p gives w = m^(-2/(1+p)) times the scaled solution.
    mean = np.exp(np.log(gram.norms).mean())
    return np.asarray(v / n * mean ** (-2.0 / (1.0 + power)))
