"""The choice: the best mixture under constraints, what is predicted for it, and how far to trust that."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from scalarize.search.mixture import intervals, simulate, solve
from scalarize.search.mixture.constraints import Constraints
from scalarize.search.mixture.doubts import build_problem, fold_optima, next_runs, spread_of, warnings_of
from scalarize.search.mixture.fitting import Fit
from scalarize.search.mixture.forms import registry
from scalarize.search.mixture.forms.base import Form
from scalarize.search.mixture.forms.least_squares import Array
from scalarize.search.mixture.intervals import Interval
from scalarize.search.mixture.objective import Objective
from scalarize.utils.errors import RequestError

STARTS = 24  # starts where a law is not convex
SAME = 1e-4  # share of the spread of scores by which two optima count as one


@dataclass(frozen=True)
class Metric:
    """One metric at the choice and at the prior, in its own units; ``gain`` is positive where the choice is better."""

    name: str
    predicted: Interval
    prior: float
    gain: float


@dataclass(frozen=True)
class Choice:
    """A mixture and what is predicted for it. Scores are losses, lower is better; a positive ``gain`` is a
    better score than the prior's."""

    domains: tuple[str, ...]
    weights: Array
    prior: Array
    score: Interval
    gain: Interval
    distinguishable: bool
    metrics: tuple[Metric, ...]
    solver: dict[str, Any]
    next_runs: tuple[tuple[str, Array], ...]
    repeats_to_decide: int | None
    warnings: tuple[str, ...]
    objective: str

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""

        def mixture(w: Array) -> dict[str, float]:
            return dict(zip(self.domains, (float(x) for x in w), strict=True))

        return {
            "weights": mixture(self.weights),
            "prior": mixture(self.prior),
            "objective": self.objective,
            "score": self.score.to_dict(),
            "gain": self.gain.to_dict(),
            "distinguishable": self.distinguishable,
            "metrics": [{**asdict(m), "predicted": m.predicted.to_dict()} for m in self.metrics],
            "solver": self.solver,
            "next_runs": [{"why": why, "weights": mixture(w)} for why, w in self.next_runs],
            "repeats_to_decide": self.repeats_to_decide,
            "warnings": list(self.warnings),
        }


def choose_mixture(
    fit: Fit,
    objective: Objective,
    constraints: Constraints,
    scale: Array | None = None,
    seed: int = 0,
    candidates: Array | None = None,
) -> Choice:
    """Choose the mixture of the least predicted score.

    Args:
        fit: laws.
        objective: the score and limits on other metrics.
        constraints: their ``prior`` (T,) is the mixture that gains are measured against.
        scale: scales (S,) of the run to come; the largest runs' if none are given.
        seed: of starts and draws where a law is not convex.
        candidates: mixtures (m, T) to choose among, in place of the simplex; constraints must hold of them too.

    Raises:
        RequestError: nothing keeps the constraints.
    """
    prior = constraints.prior
    limits = objective.limits(fit.predict(prior[None], scale)[0])
    problem = build_problem(fit, objective, limits, constraints, scale)
    counted = _forms_counted(fit, objective)
    convex, smooth = all(f.convex for f in counted), all(f.smooth for f in counted)
    if candidates is not None:
        w, solver, candidates = _among(problem, candidates)
    elif not smooth:
        start = feasible_start(constraints)
        w, solver, candidates = simulate.choose(
            lambda mixtures: fit.predict(mixtures, scale), problem, start, fit.runs.weights, seed
        )
    else:
        start = feasible_start(constraints)
        best, solver = _minimise(problem, fit, start, convex, seed)
        w = best.weights
    spread = spread_of(fit, objective, scale)
    regrets, optima = fold_optima(fit, objective, problem, w, spread, scale, candidates)
    gain = intervals.of_gain(fit, objective, w, prior, scale)
    score = intervals.of_score(fit, objective, w, scale)
    distinguishable = gain.low > 0 or gain.high < 0
    half = 0.5 * (gain.high - gain.low)
    repeats = None
    if not distinguishable and np.isfinite(half) and gain.value > 0.01 * half:
        repeats = int(np.ceil((half / gain.value) ** 2))
    return Choice(
        fit.domains, w, prior, score, gain, distinguishable, _metrics(fit, w, prior, scale), solver,
        next_runs(w, prior, regrets, optima), repeats, tuple(warnings_of(fit, constraints, w, solver, regrets, spread)),
        objective.text,
    )  # fmt: skip


def _forms_counted(fit: Fit, objective: Objective) -> list[Form]:
    counted = (objective.utility > 0) | (objective.keep is not None)
    return [registry.get(f) for f, c in zip(fit.forms, counted, strict=True) if c]


def feasible_start(c: Constraints) -> Array:
    """The mixture nearest to the prior that keeps bounds, groups, and distances.

    Raises RequestError if there is none, saying which constraint is in the way.
    """
    if c.violation(c.prior) <= 1e-9:
        return c.prior
    from scipy.optimize import linprog

    n = len(c.low)
    eye = np.eye(n)
    rows = [np.hstack([eye, -eye]), np.hstack([-eye, -eye])]
    most = [c.prior, -c.prior]
    if len(c.rows):
        rows.append(np.hstack([c.rows, np.zeros((len(c.rows), n))]))
        most.append(c.most)
    found = linprog(
        np.concatenate([np.zeros(n), np.ones(n)]), A_ub=np.vstack(rows), b_ub=np.concatenate(most),
        A_eq=np.concatenate([np.ones(n), np.zeros(n)])[None], b_eq=[1.0],
        bounds=[*zip(c.low.tolist(), c.high.tolist(), strict=True), *[(0.0, None)] * n], method="highs",
    )  # fmt: skip
    if found.status != 0:
        raise RequestError("no mixture keeps the bounds and the groups together")
    w = np.asarray(found.x[:n], dtype=np.float64)
    if c.tv is not None and 0.5 * found.fun > c.tv + 1e-9:
        raise RequestError(
            f"no mixture within the bounds is as near to the prior as tv {c.tv:g}: {0.5 * found.fun:.4g}"
        )
    return w


def _minimise(
    problem: solve.Problem, fit: Fit, start: Array, convex: bool, seed: int
) -> tuple[solve.Solution, dict[str, Any]]:
    starts = [start]
    if not convex:
        rng = np.random.default_rng(seed)
        scores = np.nan_to_num(problem.objective(fit.predict(fit.runs.weights)), nan=np.inf)
        best = fit.runs.weights[np.argsort(scores)[: STARTS // 3]]
        mixed = rng.dirichlet(np.ones(len(fit.runs.weights)), STARTS - len(best) - 1) @ fit.runs.weights
        starts += [*best, *mixed]
    found = [solve.minimise(problem, w, convex) for w in starts]
    kept = [s for s in found if s.violation <= 10 * solve.FEASIBLE]
    if not kept and convex and not found[0].infeasible:
        middle = _inside(problem.constraints, start)
        found.append(solve.minimise(problem, middle, convex))
        kept = [s for s in found if s.violation <= 10 * solve.FEASIBLE]
    if not kept:
        proof = " (proven)" if any(s.infeasible for s in found) else f", after {len(found)} starts"
        raise RequestError(f"no mixture keeps all constraints and limits{proof}; the nearest misses by "
                           f"{min(s.violation for s in found):.3g}")  # fmt: skip
    best_one = min(kept, key=lambda s: s.score)
    spread = max(float(np.std([s.score for s in kept])), 1e-12)
    solver: dict[str, Any] = {"name": "scipy SLSQP", "convex": convex, "starts": len(found)}
    if convex:
        solver["gap"] = best_one.gap
        solver["certificate"] = "linear programme over linearisations (HiGHS): no feasible mixture scores lower by more"
    else:
        near = sum(s.score <= best_one.score + max(SAME * abs(best_one.score), 1e-3 * spread) for s in kept)
        solver["agreeing"] = near
        solver["worst_start"] = max(s.score for s in kept)
        solver["certificate"] = f"none, a law is not convex: {near} of {len(kept)} local optima are the best one"
    return best_one, solver


def _inside(c: Constraints, start: Array) -> Array:
    """Another start: half way between ``start`` and the middle of the bounds, scaled to sum 1."""
    middle = 0.5 * (c.low + c.high)
    return np.asarray(0.5 * start + 0.5 * middle / max(float(middle.sum()), 1e-12))


def _among(problem: solve.Problem, candidates: Array) -> tuple[Array, dict[str, Any], Array]:
    """The best candidate, what is to be said of the search, and the candidates that keep the constraints."""
    scores = np.array([problem.score(w) for w in candidates])
    kept = np.array([problem.violation(w) <= 10 * solve.FEASIBLE for w in candidates])
    if not kept.any():
        raise RequestError(f"none of the {len(candidates)} candidates keeps the constraints")
    best = int(np.where(kept, scores, np.inf).argmin())
    said = f"all {len(candidates)} candidates were scored, {int(kept.sum())} keep the constraints"
    solver = {"name": "enumeration", "convex": False, "candidate": best, "certificate": said}
    return candidates[best], solver, candidates[kept]


def _metrics(fit: Fit, w: Array, prior: Array, scale: Array | None) -> tuple[Metric, ...]:
    here, there = fit.predict(np.stack([w, prior]), scale)
    low, high = intervals.of_metrics(fit, w[None], scale)
    found = []
    for k, name in enumerate(fit.metrics):
        sign = -1.0 if fit.runs.higher[k] else 1.0
        ends = sorted((sign * float(low[0, k]), sign * float(high[0, k])))
        predicted = Interval(sign * float(here[k]), ends[0], ends[1])
        found.append(Metric(name, predicted, sign * float(there[k]), float(there[k] - here[k])))
    return tuple(found)
