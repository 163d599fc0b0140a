"""CAGrad: the worst-off task's best direction within a ball around the mean gradient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from scalarize.methods import preference
from scalarize.methods.base import Method
from scalarize.methods.checks import counted, flag, in_range, no_failures, one_choice
from scalarize.methods.evidence import Evidence, Needs, State
from scalarize.methods.gram import Array, Gram, as_weights
from scalarize.methods.registry import register
from scalarize.methods.solvers import min_norm, nonnegative_qp


@register
@dataclass(eq=False)
class CAGrad(Method):
    """``max_d min_i g_i.d subject to |d - g0| <= c |g0|``, g0 the mean gradient (Liu et al. 2021, equation 4).

    Args:
        c: radius as a share of ``|g0|``, >= 0. Default 0.4, as in the authors' NYU-v2 runs (0.5 in the paper's toy
            problem).
        rescale: divisor of d: none (``"none"``, the paper), 1 + c^2 (``"square"``, the authors' code), 1 + c
            (``"linear"``) or the sum of its weights, 1 + lambda (``"lambda"``), as in code for reinforcement learning.
            Default ``"none"``.
        times_tasks: if True, T times d, as in the authors' code. Default False.
        preference: T numbers >= 0, normalised to sum 1, the weights of g0 in place of the mean's. Default: all the
            same.

    Raises:
        RequestError: c is negative, rescale is unknown, or the preference is negative, all 0 or of another length than
            T.
        RunError: the Gramian is not finite.

    Cost: T backwards, T x P numbers, and a quadratic programme of size T.

    Fails: with c >= 1 the mean loss need not converge (the paper's theorem wants c < 1); the answer for noisy gradients
    is not that for their means, so small batches bias it.

    Our choice: if no d in the ball improves all tasks (a zero gradient, a Pareto-stationary point) many d are best, and
    the one nearest to g0 is taken. If the solver does not converge it is counted, and d = g0. With a preference the
    main loss of the paper's theorem is the weighted sum.
    """

    name = "cagrad"
    family = "gradient-based"
    needs = Needs.GRAMIAN
    heads = "own"
    paper = "Liu et al. 2021"
    task_axes = {"preference": 1}
    c: float = 0.4
    rescale: str = "none"
    times_tasks: bool = False
    preference: Sequence[float] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        in_range(self, "c", 0.0)
        one_choice(self, "rescale", ("none", "square", "linear", "lambda"))
        flag(self, "times_tasks")
        preference.check(self)

    def init(self, n_tasks: int) -> State:
        return {**no_failures(), **preference.entry(self, n_tasks)}

    def weigh(self, evidence: Evidence, state: State) -> tuple[Tensor, State]:
        assert evidence.gramian is not None
        gram = Gram.of(evidence.gramian)
        weights, converged = max_min_in_ball(gram, self.c, preference.shares(state, gram.n_tasks))
        lambda_ = float(weights.sum()) - 1  # g0's weights have sum 1, the rest is lambda times a simplex point
        added = {"none": 0.0, "square": self.c**2, "linear": self.c, "lambda": lambda_}[self.rescale]
        total = (gram.n_tasks if self.times_tasks else 1) / (1 + added)
        return as_weights(weights * total, evidence.gramian), counted(state, converged)


def max_min_in_ball(gram: Gram, c: float, mean: Array) -> tuple[Array, bool]:
    """Return the weights (T,) of d, and True if the solver converged; ``mean`` (T,) are those of g0.

    The point nearest to g0 with ``g_i.d >= tau`` for all i is ``g0 + sum v_i u_i``, v >= 0 the solution of a small
    quadratic programme whose linear term is affine in tau; its distance grows with tau. So the task is one equation,
    distance(tau) = c |g0|, and on the set of active tasks that equation is a quadratic one.
    """
    shortest = gram.norms[gram.nonzero].min(initial=np.inf)
    scaled = mean * gram.norms
    if c == 0 or not gram.nonzero.any() or gram.cancels(scaled):
        return mean, True
    b = gram.cosines @ scaled
    a = np.divide(shortest, gram.norms, out=np.zeros_like(b), where=gram.nonzero)  # g_i.d >= tau, in units of u_i
    radius2 = c**2 * float(scaled @ b)

    def added(tau: float) -> tuple[Array, float, bool]:
        v, converged = nonnegative_qp(gram.cosines, b - tau * a, gram.eps)
        return v, float(v @ gram.cosines @ v), converged

    def total(v: Array) -> Array:
        return np.asarray(mean + np.divide(v, gram.norms, out=np.zeros_like(v), where=gram.nonzero))

    tau = 0.0
    v, distance2, solved = added(tau)
    if distance2 >= radius2:
        low, high = float((b[gram.nonzero] / a[gram.nonzero]).min()), 0.0
    else:
        weights, converged = min_norm(gram)
        shrunk = weights * gram.norms
        if not converged or not gram.nonzero.all() or gram.cancels(shrunk):
            return (total(v), True) if converged and solved else (mean, False)
        length = float(np.sqrt(shrunk @ gram.cosines @ shrunk) / shortest)
        low, high = 0.0, length * (1 + c) * float(np.sqrt(scaled @ b)) * (1 + 1e-9)
        tau = high
        v, distance2, solved = added(tau)
    for _ in range(200):
        if abs(distance2 - radius2) <= 1e3 * gram.eps * radius2:
            break
        if high - low <= 4 * gram.eps * max(abs(high), abs(low)):
            break
        tau = _on_face(gram.cosines, a, b, v > 0, radius2)
        if not low < tau < high:
            tau = 0.5 * (low + high)
        v, distance2, solved = added(tau)
        low, high = (tau, high) if distance2 < radius2 else (low, tau)
    near = abs(distance2 - radius2) <= max(1e-6, 1e4 * gram.eps) * radius2
    return (total(v), True) if near and solved else (mean, False)


def _on_face(cosines: Array, a: Array, b: Array, active: np.ndarray, radius2: float) -> float:
    """The tau at which the distance is the radius if just the ``active`` constraints hold with equality."""
    if not active.any():
        return float("nan")
    index = np.flatnonzero(active)
    block = cosines[np.ix_(index, index)]
    x, y = np.linalg.lstsq(block, np.stack([a[index], b[index]], axis=1), rcond=None)[0].T
    quadratic, linear, constant = float(a[index] @ x), float(b[index] @ x), float(b[index] @ y)
    root = linear**2 - quadratic * (constant - radius2)
    return (linear + float(np.sqrt(root))) / quadratic if root >= 0 and quadratic > 0 else float("nan")
