"""Small quadratic programmes of the gradient methods: exact (active sets), deterministic, blind to scale.

All of them are one problem in the coordinates of :mod:`scalarize.methods.gram`: minimise ``v.H.v/2 + q.v`` over
``v >= 0``. Each solution comes with ``converged``: True if the optimality conditions hold to rounding. A caller that
is told False counts it in the state and takes its documented fallback.
"""

from __future__ import annotations

import numpy as np

from scalarize.methods.gram import Array, Gram


def nonnegative_qp(h: Array, q: Array, eps: float) -> tuple[Array, bool]:
    """Minimise ``v.H.v/2 + q.v`` over v >= 0, for positive semi-definite H (T, T) of about unit diagonal; q (T,).

    Block pivoting (Judice and Pires 1994) settles most problems in a few solves; if it cycles, the active-set
    method of Lawson and Hanson (1974, chapter 23) on the normal equations, which is finite, takes over.
    """
    size = float(np.abs(q).max(initial=0.0))
    if size == 0.0:
        return np.zeros_like(q), True
    q = q / size
    v = _block_pivoting(h, q, eps)
    if v is None:
        v = _lawson_hanson(h, q, eps)
    return v * size, _is_optimal(h, q, v, eps)


def _slack(h: Array, q: Array, v: Array, eps: float) -> Array:
    """Return the distance from 0 to which rounding alone can bring each entry of the gradient ``H v + q``."""
    return np.asarray(100.0 * eps * (np.abs(h) @ np.abs(v) + np.abs(q)))


def _is_optimal(h: Array, q: Array, v: Array, eps: float) -> bool:
    """Check the optimality conditions, to rounding; q has largest entry 1. A v so large that rounding hides q is
    none."""
    if not eps * q.size * float(np.abs(v).max(initial=0.0)) < 1e-2:
        return False
    gradient = h @ v + q
    slack = 10.0 * _slack(h, q, v, eps)
    return bool((v >= 0).all() and (gradient >= -slack).all() and (gradient[v > 0] <= slack[v > 0]).all())


def _solve(h: Array, q: Array, passive: np.ndarray, ridge: float = 0.0) -> Array:
    """Return the minimiser whose entries outside ``passive`` are 0."""
    v = np.zeros_like(q)
    index = np.flatnonzero(passive)
    if index.size:
        block = h[np.ix_(index, index)]
        if ridge:
            block = block + ridge * np.eye(index.size)
        try:
            v[index] = np.linalg.solve(block, -q[index])
        except np.linalg.LinAlgError:
            v[index] = np.linalg.lstsq(block, -q[index], rcond=None)[0]
    return v


def _block_pivoting(h: Array, q: Array, eps: float) -> Array | None:
    """Let all violated entries change sides at once; None if that does not settle, or settles on a wrong answer."""
    passive = q < 0
    fewest, patience = q.size + 1, 3
    for _ in range(30):
        v = _solve(h, q, passive)
        gradient = h @ v + q
        wrong = np.where(passive, v < 0, gradient < -_slack(h, q, v, eps))
        count = int(wrong.sum())
        if count == 0:
            return v if _is_optimal(h, q, v, eps) else None
        if count < fewest:
            fewest, patience = count, 3
        else:
            patience -= 1
            if patience == 0:
                return None
        passive = passive ^ wrong
    return None


def _lawson_hanson(h: Array, q: Array, eps: float) -> Array:
    """Change one entry at a time; a ridge of rounding's size turns the null direction of dependent entries, along which
    the objective falls without a bound of its own, into a long step that the ratio test cuts."""
    ridge = 10.0 * eps * q.size
    v = np.zeros_like(q)
    passive = np.zeros(q.size, dtype=bool)
    barred = np.zeros(q.size, dtype=bool)  # entered and left at once: its gradient is rounding
    for _ in range(10 * q.size + 10):
        gradient = h @ v + q
        depth = np.where(passive | barred, 0.0, gradient + _slack(h, q, v, eps))
        entering = int(np.argmin(depth))
        if depth[entering] >= 0:
            break
        passive[entering] = True
        step = _solve(h, q, passive, ridge)
        if step[entering] <= 0:
            passive[entering] = False
            barred[entering] = True
            continue
        barred[:] = False
        while (back := passive & (step <= 0)).any():
            ratios = np.full(q.size, np.inf)
            ratios[back] = v[back] / (v[back] - step[back])
            leaving = int(np.argmin(ratios))
            v = np.maximum(v + ratios[leaving] * (step - v), 0.0)
            passive[leaving] = False
            v[~passive] = 0.0
            step = _solve(h, q, passive, ridge)
        v = step
    polished = _solve(h, q, v > 0)
    return polished if _is_optimal(h, q, polished, eps) else v


def min_norm(gram: Gram) -> tuple[Array, bool]:
    """Return simplex weights (T,) of the shortest vector in the convex hull of the gradients (Desideri 2012).

    With a zero gradient the answer is that vertex (the first such). Otherwise the hull's problem is the non-negative
    one with ``H = C + a a^T``, ``q = -a``, ``a = min(n)/n``, up to length (Wolfe 1976, section 3).
    """
    weights = np.zeros(gram.n_tasks)
    if not gram.nonzero.all():
        weights[int(np.argmin(gram.norms))] = 1.0
        return weights, True
    a = gram.norms.min() / gram.norms
    v, converged = nonnegative_qp(gram.cosines + np.outer(a, a), -a, gram.eps)
    total = float((v * a).sum())
    if not converged or total <= 0:
        weights[int(np.argmin(gram.norms))] = 1.0
        return weights, False
    return np.asarray(v * a / total), True


def onto_dual_cone(gram: Gram, weights: Array) -> tuple[Array, bool]:
    """Return weights (T,) of the projection of ``weights @ J`` onto ``{d: g_i . d >= 0 for all i}`` (Quinton and Rey
    2024, proposition 1): the added weights u minimise ``|(w + u) @ J|`` over u >= 0. A ``weights @ J`` that is nothing
    but rounding is 0, which lies in the cone."""
    pull = gram.norms * weights
    q = gram.cosines @ pull
    if float(np.abs(q).max(initial=0.0)) <= 10.0 * gram.eps * q.size * float(
        (np.abs(gram.cosines) @ np.abs(pull)).max()
    ):
        return weights, True
    v, converged = nonnegative_qp(gram.cosines, q, gram.eps)
    added = np.divide(v, gram.norms, out=np.zeros_like(v), where=gram.nonzero)
    return np.asarray(weights + added), converged
