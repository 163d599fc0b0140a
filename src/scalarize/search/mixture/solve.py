"""The best mixture under constraints: scipy's SLSQP, and a linear programme (HiGHS) that proves how good it is.

Objective and constraints are convex wherever every law is. A linear programme over their linearisations at any point
is then a lower bound on every feasible score, so that ``gap`` = score - bound is a certificate: no mixture that keeps
the constraints is predicted to be better by more. SLSQP is scipy's; so is HiGHS, through ``linprog``.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from scalarize.search.mixture.constraints import TINY, Constraints, divergence
from scalarize.search.mixture.forms.least_squares import Array
from scalarize.search.mixture.objective import Objective

FEASIBLE = 1e-6  # by how much a constraint may be missed
FLOOR = 1e-9  # weights are no smaller where a logarithm is differentiated


@dataclass(frozen=True)
class Problem:
    """Minimise objective(losses(w)) with losses(w) <= limits, under constraints."""

    losses: Callable[[Array], Array]  # (T,) -> (K,)
    jacobian: Callable[[Array], Array]  # (T,) -> (K, T)
    objective: Objective
    limits: Array
    constraints: Constraints

    def score(self, w: Array) -> float:
        """The objective at ``w``."""
        return float(self.objective(self.losses(w)[None])[0])

    def violation(self, w: Array) -> float:
        """By how much ``w`` misses constraints and limits."""
        over = self.losses(w) - self.limits
        return max(self.constraints.violation(w), float(over.max(initial=0.0)))


@dataclass(frozen=True)
class Solution:
    """A mixture, its score, and, where everything is convex, the gap to a proven lower bound (else nan).
    ``infeasible`` if it is proven that no mixture keeps the constraints."""

    weights: Array
    score: float
    violation: float
    gap: float = float("nan")
    infeasible: bool = False


class _Variables:
    """Places of w (T,), the epigraph's t and the distances |w - prior| (T,) among the variables of a solver."""

    def __init__(self, problem: Problem) -> None:
        c = problem.constraints
        self.n = len(c.low)
        self.t = self.n if problem.objective.worst else None
        self.d = self.n + (self.t is not None) if c.tv is not None else None
        self.size = self.n + (self.t is not None) + (self.n if self.d is not None else 0)
        self.used = np.flatnonzero(problem.objective.utility > 0)
        self.held = np.flatnonzero(np.isfinite(problem.limits))

    def linear(self, c: Constraints) -> tuple[Array, Array]:
        """Rows A and b of A x <= b: groups and total variation."""
        rows = [np.hstack([c.rows, np.zeros((len(c.rows), self.size - self.n))])] if len(c.rows) else []
        most = [c.most] if len(c.rows) else []
        if self.d is not None:
            eye, blank = np.eye(self.n), np.zeros((self.n, self.size))
            for sign in (1.0, -1.0):
                row = blank.copy()
                row[:, : self.n], row[:, self.d :] = sign * eye, -eye
                rows.append(row)
                most.append(sign * c.prior)
            total = np.zeros((1, self.size))
            total[0, self.d :] = 1.0
            rows.append(total)
            most.append(np.array([2.0 * float(c.tv or 0.0)]))
        return (np.vstack(rows), np.concatenate(most)) if rows else (np.zeros((0, self.size)), np.zeros(0))

    def bounds(self, c: Constraints) -> list[tuple[float | None, float | None]]:
        """Bounds of every variable."""
        pairs: list[tuple[float | None, float | None]] = list(zip(c.low.tolist(), c.high.tolist(), strict=True))
        pairs += [(None, None)] if self.t is not None else []
        return pairs + ([(0.0, 2.0)] * self.n if self.d is not None else [])


def minimise(problem: Problem, start: Array, convex: bool) -> Solution:
    """The best mixture that SLSQP finds from ``start`` (T,), with its certificate if everything is ``convex``."""
    from scipy.optimize import minimize

    c, v = problem.constraints, _Variables(problem)
    spread = max(abs(problem.score(start)), 1e-9) * 1e-3  # so that SLSQP's tolerance is far below what matters
    x0 = np.zeros(v.size)
    x0[: v.n] = start
    if v.t is not None:
        x0[v.t] = problem.score(start) / spread
    if v.d is not None:
        x0[v.d :] = np.abs(start - c.prior)
    utility = problem.objective.utility

    def value(x: Array) -> float:
        return float(x[v.t]) if v.t is not None else float(problem.losses(x[: v.n]) @ utility) / spread

    def slope(x: Array) -> Array:
        result = np.zeros(v.size)
        if v.t is not None:
            result[v.t] = 1.0
        else:
            result[: v.n] = utility @ problem.jacobian(x[: v.n]) / spread
        return result

    with warnings.catch_warnings():
        # SciPy before 1.13 says that a step left the bounds by rounding, and clips it, which is what is wanted.
        warnings.filterwarnings("ignore", "Values in x were outside bounds", RuntimeWarning)
        found = minimize(
            value, x0, jac=slope, method="SLSQP", bounds=v.bounds(c), constraints=_conditions(problem, v, spread),
            options={"maxiter": 500, "ftol": 1e-10},
        )  # fmt: skip
    w = _tidy(np.asarray(found.x[: v.n], dtype=np.float64), c)
    best = Solution(w, problem.score(w), problem.violation(w))
    return certify(problem, best) if convex else best


def _conditions(problem: Problem, v: _Variables, spread: float) -> list[dict[str, object]]:
    """SLSQP's constraints: equalities fun = 0 and inequalities fun >= 0, with Jacobians."""
    c = problem.constraints
    ones = np.zeros((1, v.size))
    ones[0, : v.n] = 1.0
    found: list[dict[str, object]] = [
        {"type": "eq", "fun": lambda x: np.array([x[: v.n].sum() - 1.0]), "jac": lambda x: ones}
    ]
    rows, most = v.linear(c)
    if len(rows):
        found.append({"type": "ineq", "fun": lambda x: most - rows @ x, "jac": lambda x: -rows})

    def padded(jacobian: Array) -> Array:
        return np.hstack([jacobian, np.zeros((len(jacobian), v.size - v.n))])

    if c.kl is not None:
        kl = c.kl
        found.append({
            "type": "ineq",
            "fun": lambda x: np.array([kl - divergence(np.maximum(x[: v.n], 0.0) * (c.prior > 0), c.prior)]),
            "jac": lambda x: -padded(_kl_slope(x[: v.n], c.prior)[None]),
        })  # fmt: skip
    if v.t is not None:
        t = v.t

        def above(x: Array) -> Array:
            return np.asarray(x[t] - problem.losses(x[: v.n])[v.used] / spread)

        def above_slope(x: Array) -> Array:
            jacobian = -padded(problem.jacobian(x[: v.n])[v.used]) / spread
            jacobian[:, t] = 1.0
            return jacobian

        found.append({"type": "ineq", "fun": above, "jac": above_slope})
    if len(v.held):
        found.append({
            "type": "ineq",
            "fun": lambda x: (problem.limits - problem.losses(x[: v.n]))[v.held] / spread,
            "jac": lambda x: -padded(problem.jacobian(x[: v.n])[v.held]) / spread,
        })  # fmt: skip
    return found


def _kl_slope(w: Array, prior: Array) -> Array:
    return np.where(prior > 0, np.log(np.maximum(w, FLOOR) / np.maximum(prior, 1e-300)) + 1.0, 0.0)


def _tidy(w: Array, c: Constraints) -> Array:
    """``w`` within its bounds and with sum 1, both to rounding: the surplus goes where there is room."""
    w = np.clip(w, c.low, c.high)
    w = np.where((w < TINY) & (c.low <= 0), 0.0, w)
    for _ in range(3):
        missing = 1.0 - float(w.sum())
        room = (c.high - w) if missing > 0 else (w - c.low)
        if room.sum() <= 0:
            break
        w = np.clip(w + missing * room / room.sum(), c.low, c.high)
    return w


def certify(problem: Problem, solution: Solution) -> Solution:
    """The solution with the gap to the optimum of the linearised problem, a lower bound if everything is convex."""
    from scipy.optimize import linprog

    c, v, w = problem.constraints, _Variables(problem), solution.weights
    # At a point slightly inside, where slopes are finite; any point gives a bound.
    inside = np.maximum(w, 1e-6)
    losses, jacobian = problem.losses(inside), problem.jacobian(inside)
    constant = losses - jacobian @ inside
    rows, most = v.linear(c)
    cost, shift = np.zeros(v.size), 0.0
    if v.t is not None:
        cost[v.t] = 1.0
        block = np.hstack([jacobian[v.used], np.zeros((len(v.used), v.size - v.n))])
        block[:, v.t] = -1.0
        rows, most = np.vstack([rows, block]), np.concatenate([most, -constant[v.used]])
    else:
        cost[: v.n] = problem.objective.utility @ jacobian
        shift = float(problem.objective.utility @ constant)
    if len(v.held):
        block = np.hstack([jacobian[v.held], np.zeros((len(v.held), v.size - v.n))])
        rows = np.vstack([rows, block])
        most = np.concatenate([most, (problem.limits - constant)[v.held] + FEASIBLE])
    if c.kl is not None:
        at = np.maximum(w, FLOOR)
        slope = _kl_slope(at, c.prior)
        value = divergence(at * (c.prior > 0), c.prior)
        rows = np.vstack([rows, np.concatenate([slope, np.zeros(v.size - v.n)])[None]])
        most = np.append(most, c.kl - value + float(slope @ at) + FEASIBLE)
    ones = np.zeros((1, v.size))
    ones[0, : v.n] = 1.0
    found = linprog(cost, A_ub=rows if len(rows) else None, b_ub=most if len(rows) else None, A_eq=ones, b_eq=[1.0],
                    bounds=v.bounds(c), method="highs")  # fmt: skip
    gap = solution.score - (float(found.fun) + shift) if found.status == 0 else float("nan")
    return Solution(w, solution.score, solution.violation, max(gap, 0.0), found.status == 2)
