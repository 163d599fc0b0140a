"""The choice where a law has no slope to follow, as RegMix makes it: many draws, and the average of the best of them.

Nothing is proven of the answer; it is said how many draws were scored.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scalarize.search.mixture import solve
from scalarize.search.mixture.constraints import Constraints
from scalarize.search.mixture.forms.least_squares import Array
from scalarize.search.mixture.swarm import within
from scalarize.utils.errors import RequestError

DRAWS = 2000  # half of them around the prior and half around the runs; then as many between the best and the others
DOUBTED = 500  # the best of them, which laws fitted without a part of the runs are asked about
BEST = 64  # mixtures whose average is chosen
WIDTHS = (0.3, 30.0)  # concentrations around the prior, as multiples of the number of domains
HALVINGS = 30


def choose(
    losses: Callable[[Array], Array], problem: solve.Problem, start: Array, runs: Array, seed: int
) -> tuple[Array, dict[str, Any], Array]:
    """Choose by simulation.

    Args:
        losses: predictions (m, K) at mixtures (m, T).
        problem: score, limits and constraints.
        start: a mixture (T,) that keeps the constraints, which draws that do not are drawn to.
        runs: mixtures (n, T) of the runs.
        seed: of the draws.

    Returns:
        The mixture (T,), what is to be said of the search, and the best of the draws, (m, T).

    Raises:
        RequestError: no draw keeps the constraints and the limits.
    """
    c, rng = problem.constraints, np.random.default_rng(seed)
    field = np.concatenate([start[None], draw(c, start, runs, rng)])
    ranked, scores = _kept(losses, problem, field)
    if not len(ranked):
        raise RequestError(f"none of {len(field)} mixtures drawn keeps all constraints and limits")
    near = ranked[rng.integers(min(BEST, len(ranked)), size=len(field))]  # then between the best and all others
    field = near + rng.uniform(0.0, 0.5, size=(len(field), 1)) * (field - near)
    found, more = _kept(losses, problem, field)
    ranked, scores = np.concatenate([ranked, found]), np.concatenate([scores, more])
    ranked = ranked[np.argsort(scores, kind="stable")]
    count = int(np.clip(len(ranked) // 10, 1, BEST))
    w = np.asarray(ranked[:count].mean(axis=0))
    if problem.violation(w) > 10 * solve.FEASIBLE:  # limits of metrics need not hold between mixtures that keep them
        w, count = ranked[0], 1
    average = f"the average of the best {count}" if count > 1 else "the best"
    certificate = f"none, a law has no slope: {average} of {len(ranked)} draws that keep the constraints"
    solver = {"name": "simulation", "convex": False, "draws": len(ranked), "certificate": certificate}
    return w, solver, ranked[:DOUBTED]


def _kept(losses: Callable[[Array], Array], problem: solve.Problem, field: Array) -> tuple[Array, Array]:
    """The mixtures (m, T) that keep constraints and limits, and their scores (m,), the best first."""
    field = field[keeps(problem.constraints, field)]
    said = losses(field) if len(field) else np.zeros((0, len(problem.limits)))
    kept = (said <= problem.limits + solve.FEASIBLE).all(axis=1)
    scores = problem.objective(said[kept])
    order = np.argsort(scores, kind="stable")
    return field[kept][order], scores[order]


def draw(c: Constraints, start: Array, runs: Array, rng: np.random.Generator, count: int = DRAWS) -> Array:
    """Mixtures (count, T) drawn around the prior and between runs, brought to keep the constraints.

    Each is brought within the bounds, then moved towards ``start`` until sums and distances hold: what is allowed is
    convex, so that all of the way from ``start`` to the last such point is.
    """
    half, n = count // 2, len(start)
    width = np.exp(rng.uniform(np.log(WIDTHS[0]), np.log(WIDTHS[1]), size=(half, 1)))
    around = rng.standard_gamma(np.maximum(c.prior * n * width, 1e-3))
    few = rng.dirichlet(np.full(min(len(runs), 4), 0.5), count - half)  # near a run, or between a few
    between = np.einsum("mk,mkt->mt", few, runs[rng.integers(len(runs), size=few.shape)])
    total = around.sum(axis=1, keepdims=True)
    around = np.where(total > 0, around / np.where(total > 0, total, 1.0), start)
    drawn = np.array([within(w, c.low, c.high) for w in np.concatenate([around, between])])
    least, most = np.zeros(len(drawn)), np.ones(len(drawn))
    whole = keeps(c, drawn)
    least[whole] = 1.0
    for _ in range(HALVINGS):
        middle = 0.5 * (least + most)
        inside = keeps(c, start + middle[:, None] * (drawn - start))
        least, most = np.where(inside, np.maximum(least, middle), least), np.where(inside, most, middle)
    return np.asarray(start + least[:, None] * (drawn - start))


def keeps(c: Constraints, w: Array) -> NDArray[np.bool_]:
    """A mask (m,) of the mixtures (m, T) that keep the constraints, by the same tolerance as the solver's."""
    slack = solve.FEASIBLE
    found = np.abs(w.sum(axis=1) - 1.0) <= slack
    found &= ((w >= c.low - slack) & (w <= c.high + slack)).all(axis=1)
    if len(c.rows):
        found &= (w @ c.rows.T <= c.most + slack).all(axis=1)
    if c.tv is not None:
        found &= 0.5 * np.abs(w - c.prior).sum(axis=1) <= c.tv + slack
    if c.kl is not None:
        ratio = np.where(w > 0, w, 1.0) / np.where(c.prior > 0, c.prior, 1e-300)
        found &= np.where(w > 0, w * np.log(ratio), 0.0).sum(axis=1) <= c.kl + slack
    return np.asarray(found)
