"""The verbs, on pandas frames or CSV files: design, fit, choose, check, report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scalarize.search.mixture import constraints as limits
from scalarize.search.mixture import objective as objectives
from scalarize.search.mixture import store, swarm
from scalarize.search.mixture.checking import Check, check_runs
from scalarize.search.mixture.choice import Choice, choose_mixture
from scalarize.search.mixture.domains import Domains, read_domains, tempered
from scalarize.search.mixture.fitting import Fit, fit_runs
from scalarize.search.mixture.forms.least_squares import Array
from scalarize.search.mixture.older import fit_with_older
from scalarize.search.mixture.reuse import carry_over
from scalarize.search.mixture.runs import Runs, read_mixtures, read_runs
from scalarize.search.mixture.stages import Stages, fit_stages
from scalarize.utils.errors import RequestError, unknown_name_error

Prior = str | Path | Mapping[str, float] | None


def design(
    domains: Any,
    runs: int | None = None,
    prior: Mapping[str, float] | None = None,
    temperature: float = 1.0,
    low: Mapping[str, float] | None = None,
    high: Mapping[str, float] | None = None,
    budgets: Sequence[float] = (),
    repeats: float = 4.0,
    sparse: float = 0.25,
    seed: int = 0,
    extend: Any = None,
) -> dict[str, list[Any]]:
    """Design a swarm: which mixtures to train.

    Args:
        domains: a CSV file, frame, or mapping of sizes (see :func:`~scalarize.search.mixture.domains.read_domains`).
        runs: how many new runs (default: 4 for every number of the default law).
        prior: mixture to draw around (default: the column ``prior``, else the sizes).
        temperature: flattens the prior, as weights ** (1 / temperature).
        low, high: bounds, beside those of the table.
        budgets: tokens of the runs (proxies and target): no domain is seen more than ``repeats`` times at any.
        repeats: see budgets.
        sparse: share of the candidates that leave out a random half or more of the domains.
        seed: of the draws; the same seed gives the same swarm.
        extend: mixtures trained already (CSV file or frame), which new ones keep away from.

    Returns:
        Columns ``run`` and ``weight:DOMAIN``; ``pandas.DataFrame(...)`` makes it a frame.

    Raises:
        RequestError: see the functions named above.
    """
    table = read_domains(domains)
    centre = _mixture(table.names, prior, "prior") if prior is not None else table.prior_mixture()
    centre = tempered(centre, temperature)
    budget = max(budgets) if budgets else None
    sizes = table.sizes if budget is not None else None
    lows, highs = {**table.low, **(low or {})}, {**table.high, **(high or {})}
    bounds = limits.create(table.names, centre, lows, highs, sizes=sizes, budget=budget, repeats=repeats)
    old = None if extend is None else read_mixtures(extend, table.names)
    count = swarm.runs_for(len(table.names)) if runs is None else runs
    found = swarm.design_mixtures(centre, count, bounds.low, bounds.high, sparse, seed, old)
    begin = 0 if old is None else len(old)
    columns: dict[str, list[Any]] = {"run": [begin + i for i in range(len(found))]}
    columns.update({f"weight:{d}": found[:, i].tolist() for i, d in enumerate(table.names)})
    return columns


def fit(
    *runs: Any,
    forms: Sequence[str] | None = None,
    folds: int = 5,
    reuse: Sequence[Any] = (),
    split: Mapping[str, Mapping[str, float]] | None = None,
    merge: Mapping[str, Sequence[str]] | None = None,
    add: Sequence[str] = (),
    **reading: Any,
) -> Fit:
    """Fit laws to runs.

    Args:
        runs: one CSV file or frame of weights and metrics, or two (weights, metrics), joined by run or index.
        forms: names of forms, the preferred one first (default: power, log-linear, ridge).
        folds: parts for held-out predictions.
        reuse: tables of older runs, in another set of domains (one, or weights and metrics).
        split, merge, add: how their domains become those of ``runs`` (see
            :func:`~scalarize.search.mixture.reuse.carry_over`).
        reading: see :func:`~scalarize.search.mixture.runs.read_runs`.

    Returns:
        Fit: ``fit.notes`` hold what was left out or unusual; :func:`save` writes it as JSON.
    """
    if not reuse:
        if split or merge or add:
            raise RequestError("split, merge and add say how older runs change: give them with reuse")
        return fit_runs(read_runs(*runs, **reading), forms, folds)
    old = carry_over(read_runs(*reuse, **reading), split, merge, add)
    return fit_with_older(old, read_runs(*runs, **reading), forms, folds)


def fit_steps(*runs: Any, forms: Sequence[str] | None = None, folds: int = 5, **reading: Any) -> Stages:
    """Fit laws to the metrics of every step of the runs; the arguments are those of :func:`fit`."""
    return fit_stages(read_runs(*runs, **reading), forms, folds)


def report(fitted: Fit | str | Path, path: str | Path, choice: Choice | None = None) -> Path:
    """Write the page of a fit, one self-contained HTML file.

    Args:
        fitted: a fit or its file.
        path: where to write.
        choice: the choice to show (default: the one of :func:`choose` without constraints).
    """
    from scalarize.search.mixture import outlook, page

    fitted = fitted if isinstance(fitted, Fit) else store.load(fitted)
    chosen = choose(fitted) if choice is None else choice
    return page.write(fitted, outlook.of_fit(fitted, objectives.create("mean", fitted.metrics)), chosen, path)


def choose(
    fitted: Fit | str | Path,
    score: str | Mapping[str, float] = "mean",
    target: str | None = None,
    keep: float | None = None,
    prior: Prior = None,
    temperature: float = 1.0,
    low: Mapping[str, float] | None = None,
    high: Mapping[str, float] | None = None,
    fixed: Mapping[str, float] | None = None,
    sizes: Any = None,
    budget: float | None = None,
    repeats: float = 4.0,
    groups: Mapping[str, tuple[float, float]] | None = None,
    kl: float | None = None,
    tv: float | None = None,
    beyond: bool = False,
    candidates: Any = None,
    size: float | None = None,
    tokens: float | None = None,
    seed: int = 0,
) -> Choice:
    """Choose the mixture of the large run.

    Args:
        fitted: a fit or its file.
        score, target, keep: see :func:`~scalarize.search.mixture.objective.create`.
        prior: mixture that gains, kl and tv are measured against (default: the mean of the runs); a mapping, or a CSV
            file of domains.
        temperature: flattens the prior.
        low, high, fixed, sizes, budget, repeats, groups, kl, tv: see
            :func:`~scalarize.search.mixture.constraints.create`; ``sizes`` may be a CSV file of domains.
        beyond: if weights may leave the range that the runs' weights cover.
        candidates: mixtures (CSV file or frame) to choose among.
        size, tokens: of the large run, for fits with several (default: those of the largest runs).
        seed: of the starts where a law is not convex.

    Raises:
        RequestError: an unknown name, a number out of range, or constraints that nothing keeps.
    """
    fitted = fitted if isinstance(fitted, Fit) else store.load(fitted)
    objective = objectives.create(score, fitted.metrics, target, keep)
    _learnable(fitted, objective)
    table = None if sizes is None else read_domains(sizes)
    centre = tempered(_prior(fitted, prior), temperature)
    ranges = (fitted.runs.weights.min(axis=0), fitted.runs.weights.max(axis=0))
    bounds = limits.create(
        fitted.domains, centre, low, high, fixed, None if table is None else table.sizes, budget, repeats, groups,
        kl, tv,
        None if beyond or candidates is not None else ranges,
    )  # fmt: skip
    among = None if candidates is None else read_mixtures(candidates, fitted.domains)
    return choose_mixture(fitted, objective, bounds, scale_of(fitted, size, tokens), seed, among)


def check(
    fitted: Fit | str | Path, *runs: Any, score: str | Mapping[str, float] = "mean", target: str | None = None,
    **reading: Any,
) -> Check:  # fmt: skip
    """Compare a fit's predictions with runs that it did not see (see
    :func:`~scalarize.search.mixture.checking.check_runs`); ``runs`` are read as in :func:`fit`."""
    fitted = fitted if isinstance(fitted, Fit) else store.load(fitted)
    read: Runs = read_runs(*runs, domains=fitted.domains, **reading)
    return check_runs(fitted, read, objectives.create(score, fitted.metrics, target))


def scale_of(fitted: Fit, size: float | None, tokens: float | None) -> Array | None:
    """Scales (S,) of a run of ``size`` and ``tokens``; those of the largest runs if not given.

    Raises:
        RequestError: the fit has runs of one size only, or of one amount of tokens.
    """
    scale = fitted.largest.copy()
    for name, value in (("size", size), ("tokens", tokens)):
        if value is None:
            continue
        if name not in fitted.runs.scale_names:
            raise RequestError(f"{name}: the runs of this fit have one {name} only (or no such column), which tells "
                               "nothing of another")  # fmt: skip
        if not (value > 0 and np.isfinite(value)):
            raise RequestError(f"{name} must be above 0, got {value:g}")
        scale[fitted.runs.scale_names.index(name)] = np.log(value)
    return scale


def _learnable(fitted: Fit, objective: objectives.Objective) -> None:
    used = objective.utility > 0
    spread = np.nanmax(fitted.runs.losses[:, used], axis=0) - np.nanmin(fitted.runs.losses[:, used], axis=0)
    if (spread <= 0).all():
        raise RequestError(f"the score {objective.text!r} is the same in every run: there is nothing to choose by")


def _prior(fitted: Fit, prior: Prior) -> Array:
    if prior is None:
        return np.asarray(fitted.runs.weights.mean(axis=0))
    if isinstance(prior, Mapping):
        return _mixture(fitted.domains, prior, "prior")
    table: Domains = read_domains(prior)
    return _mixture(fitted.domains, dict(zip(table.names, table.prior_mixture().tolist(), strict=True)), "prior")


def _mixture(domains: Sequence[str], weights: Mapping[str, float], option: str) -> Array:
    for name in weights:
        if name not in domains:
            raise unknown_name_error("domain", name, domains, where=f" in {option}")
    missing = [d for d in domains if d not in weights]
    if missing:
        raise RequestError(f"{option}: no weight of {', '.join(missing[:5])}")
    values = np.array([float(weights[d]) for d in domains])
    if not np.isfinite(values).all() or (values < 0).any() or values.sum() <= 0:
        raise RequestError(f"{option}: weights must be finite, >= 0 and not all 0")
    return np.asarray(values / values.sum())
