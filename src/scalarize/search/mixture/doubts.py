"""Doubts about a choice: what laws fitted without a part of the runs would choose, and the runs that would decide."""

from __future__ import annotations

from typing import Any

import numpy as np

from scalarize.search.mixture import solve
from scalarize.search.mixture.constraints import Constraints
from scalarize.search.mixture.fitting import Fit, predict
from scalarize.search.mixture.forms import registry
from scalarize.search.mixture.forms.base import stack
from scalarize.search.mixture.forms.least_squares import Array
from scalarize.search.mixture.objective import Objective

DOUBT = 0.15  # regret, by laws fitted without a fold, from which a warning is given (our choice)
GAP = 1e-3  # gap, as a share of the spread of scores, from which a warning is given (our choice)
DEAR = 5000  # domains x metrics from which only two folds are asked for their own optimum


def build_problem(
    fit: Fit,
    objective: Objective,
    limits: Array,
    constraints: Constraints,
    scale: Array | None,
    fold: int | None = None,
) -> solve.Problem:
    """The problem of the laws of all runs, or of those outside ``fold``."""
    laws = fit.laws if fold is None else fit.folds[fold]
    z = fit.centred(scale)
    groups = [(n, [k for k, f in enumerate(fit.forms) if f == n]) for n in dict.fromkeys(fit.forms)]
    stacked = [(registry.get(n), where, stack([laws[k] for k in where])) for n, where in groups]

    def losses(w: Array) -> Array:
        return np.asarray(predict(fit.forms, laws, np.asarray(w)[None], z)[0])

    def jacobian(w: Array) -> Array:
        result = np.zeros((len(laws), len(w)))
        for form, where, numbers in stacked:
            result[where] = form.gradient(numbers, w, z)
        return result

    return solve.Problem(losses, jacobian, objective, limits, constraints)


def spread_of(fit: Fit, objective: Objective, scale: Array | None) -> float:
    """Mean less best predicted score over the runs: the unit of regret."""
    scores = objective(fit.predict(fit.runs.weights, scale))
    return max(float(scores.mean() - scores.min()), 1e-12)


def fold_optima(
    fit: Fit, objective: Objective, problem: solve.Problem, w: Array, spread: float, scale: Array | None,
    candidates: Array | None,
) -> tuple[list[float], list[Array]]:  # fmt: skip
    """For laws fitted without each fold: the regret of ``w`` by them, and their own optimum."""
    count = len(fit.folds) if len(w) * len(fit.forms) <= DEAR else 2
    regrets, optima = [], []
    for fold in range(count):
        own = build_problem(fit, objective, problem.limits, problem.constraints, scale, fold)
        if candidates is None:
            best = solve.minimise(own, w, False).weights
        else:
            best = candidates[int(objective(fit.predict(candidates, scale, fold)).argmin())]
        better = own.score(w) - own.score(best)
        optima.append(best if better > 0 else w)
        regrets.append(max(better, 0.0) / spread)
    return regrets, optima


def next_runs(
    w: Array, prior: Array, regrets: list[float], optima: list[Array], most: int = 5
) -> tuple[tuple[str, Array], ...]:
    """The choice, the prior, and optima of laws that lack a part of the runs, the greatest doubts first."""
    found = [("the choice itself: is its prediction right?", w), ("the prior: the gain is against it", prior)]
    for i in np.argsort(regrets)[::-1]:
        far = min(0.5 * float(np.abs(optima[i] - x).sum()) for _, x in found)
        if len(found) < most and far > 0.02:
            found.append(
                (f"best without a part of the runs, which put the choice's regret at {regrets[i]:.2f}", optima[i])
            )
    return tuple(found)


def warnings_of(
    fit: Fit, c: Constraints, w: Array, solver: dict[str, Any], regrets: list[float], spread: float
) -> list[str]:
    """Reasons not to trust a choice."""
    found = []
    if max(regrets) > DOUBT:
        found.append(f"the choice hangs on few runs: without a part of them its regret is up to {max(regrets):.2f}")
    low, high = fit.runs.weights.min(axis=0), fit.runs.weights.max(axis=0)
    beyond = [d for d, x, a, b in zip(fit.domains, w, low, high, strict=True) if x < a - 1e-6 or x > b + 1e-6]
    if beyond:
        found.append(
            f"no run gave as much or as little weight to {', '.join(beyond[:5])}: predictions there are a guess"
        )
    gap = solver.get("gap")
    if solver["convex"] and (gap is None or not np.isfinite(gap) or gap > GAP * spread):
        found.append(f"the solver's certificate is weak: a score lower by up to {gap:.3g} is not excluded")
    return found
