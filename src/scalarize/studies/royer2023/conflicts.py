"""Conflicting gradients: figures 4, 5 and E. Their share, its causes, and its relation to accuracy."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from scalarize.analysis import claims, conflicts, statistics
from scalarize.analysis.statistics import in_words
from scalarize.analysis.study_tables import StudyTable
from scalarize.runs.request import train_request
from scalarize.studies import axes
from scalarize.studies.royer2023 import reported
from scalarize.studies.study import Context, PlannedRun, StudyResults, Target
from scalarize.weights import simplex
from scalarize.weights.policy import Policy
from scalarize.workloads.sizes import Size

SEEDS = {"domainnet": 2, "taskonomy-tiny": 2}
FIGURE_4_RATES = (1.0, 10.0, 20.0)  # of CelebA's 5e-4: 5e-4, 5e-3, 1e-2
FIGURE_E_RATES = (1.0, 10.0, 100.0)  # 5e-4, 5e-3, 5e-2
AXIS_RATES = (1 / 3, 1.0, 3.0)  # the paper does not report its sweep: our choice
BATCHES = (0.5, 1.0, 2.0)  # our choice
LABELS = ("rate", "batch", "depth", "width", "weights", "method")
LOOKS = 32  # batches probed in an epoch, at most (the paper probes all of them)


def course_plan(context: Context, factors: Sequence[float], methods: Sequence[str]) -> list[PlannedRun]:
    """List training with even weights and with the given methods at several learning rates, depths and widths."""
    sizes = _sizes(context)
    base = context.problem.recipe(context.workload).optimizer.lr
    planned = []
    for method, size, rate in itertools.product(methods, sizes, context.budget.thin(axes.rates(base, tuple(factors)))):
        planned += _probed(context, size, {"optimizer.lr": rate}, method)
    return planned


def axis_plan(context: Context) -> list[PlannedRun]:
    """List all combinations of learning rate, batch size, depth, width (figure 5) and weights."""
    recipe = context.problem.recipe(context.workload)
    rates = context.budget.thin(axes.rates(recipe.optimizer.lr, AXIS_RATES))
    batches = context.budget.thin([max(1, int(recipe.batch_size * f)) for f in BATCHES])
    planned = []
    for size, rate, batch in itertools.product(_sizes(context), rates, batches):
        for weights in _weights(context).items():
            settings = {"optimizer.lr": rate, "batch_size": batch}
            planned += _probed(context, size, settings, "uniform", weights)
    return planned


def _weights(context: Context) -> dict[str, Any]:
    """Return name -> a policy's content; None is uniform. Halfway is the geometric mean (our choice)."""
    losses = context.data.constant_losses()
    ends = {"inverse-loss": 1.0, "halfway": 0.5}
    named: dict[str, Any] = {"uniform": None}
    for name, power in ends.items():
        weights = simplex.inverse(np.array([losses[n] for n in context.data.names]) ** power)
        named[name] = Policy.constant(dict(zip(context.data.names, weights.tolist(), strict=True))).to_dict()
    kept = context.budget.thin(["uniform", "halfway", "inverse-loss"])
    return {name: named[name] for name in kept}


def _sizes(context: Context) -> list[Size]:
    found = context.sizes
    depths = context.budget.thin(list(dict.fromkeys(s.depth for s in found)))
    widths = context.budget.thin(list(dict.fromkeys(s.width for s in found)))
    return [s for s in found if s.depth in depths and s.width in widths]


def _probed(
    context: Context, size: Size, settings: dict[str, Any], method: str, weights: tuple[str, Any] | str = "uniform"
) -> list[PlannedRun]:
    name, content = (weights, None) if isinstance(weights, str) else weights
    problem = axes.with_settings(context.problem, size.settings | settings)
    recipe = problem.recipe(context.workload)
    steps = max(1, context.data.epoch_size // recipe.batch_size)
    every = max(1, steps // LOOKS)
    planned = []
    for seed in context.seeds_of(SEEDS.get(context.workload.name, 3)):
        source: dict[str, Any] = {"method": method} if content is None else {"policy": content}
        request = train_request(problem, seed=seed, probe_every=every, **source)
        labels = {"method": method, "rate": recipe.optimizer.lr, "batch": recipe.batch_size}
        labels |= {"depth": str(size.depth), "width": size.width, "weights": name, "seed": seed}
        parts = (method, f"lr {recipe.optimizer.lr:g}", f"batch {recipe.batch_size}", size.name.replace(",", ""), name)
        planned.append(PlannedRun(f"conflict {' '.join(parts)} seed {seed}", request, labels))
    return planned


def curves(found: StudyResults) -> list[StudyTable]:
    """Return figures 4 and E: the share of conflicting pairs over epochs, the loss beside it, and against accuracy."""
    epochs = conflicts.per_epoch(found.curves, LABELS)
    keys = ["method", "rate", "depth", "width", "epoch"]
    shown = epochs.groupby(keys, sort=False)[["share", "loss"]].mean().reset_index()
    by_run = conflicts.per_run(epochs, LABELS)
    findings = [f"C3: the share of conflicting pairs changes from first to last epoch by {in_words(_rise(by_run))}."]
    grows: dict[str, claims.IntervalAt] = {}
    for method, own in by_run.groupby("method", sort=False):
        grows[f"share of conflicts with {method}, last minus first epoch"] = _rise(own).at
        mean = statistics.t_interval(own.groupby("seed")["share"].mean().tolist())
        findings.append(f"C3: share of conflicting pairs with {method}: {in_words(mean)}.")
    course = StudyTable("conflict-course", "Conflicting pairs over epochs", shown, "Means over seeds.", tuple(findings))
    return [course, _against_accuracy(found, by_run), claims.table({("C3, towards the end", ""): grows})]


def _rise(by_run: pd.DataFrame) -> statistics.Interval:
    """Return the growth of the share from the first epoch to the last, over seeds."""
    return statistics.t_interval((by_run["end"] - by_run["start"]).groupby(by_run["seed"]).mean().tolist())


def _against_accuracy(found: StudyResults, by_run: pd.DataFrame) -> StudyTable:
    scored = found.results.assign(score=found.results["sign"] * found.results["test"])
    score = scored.groupby("run")["score"].mean()
    rows = by_run.merge(score.rename("score"), left_on="run", right_index=True)
    each = [conflicts.relation(own, score) for _, own in by_run.groupby("seed")]
    known = [r for r in each if not np.isnan(r)]
    finding = "every run has the same share or score"
    if known:
        finding = f"rank correlation over runs {in_words(statistics.t_interval(known))}"
    return StudyTable(
        "conflict-accuracy",
        "Conflicts against the final score",
        rows[["method", "rate", "depth", "width", "seed", "share", "score"]],
        "A point a run; score is the average test metric, negated where lower is better.",
        (f"C3: mean share of conflicts against the final score: {finding}.",),
    )


def what_changes_them(found: StudyResults) -> list[StudyTable]:
    """Return figure 5: variance along each axis beside the paper's, the matrix of pairs, and single layers."""
    axes_here = [a for a in LABELS if found.results[a].nunique() > 1]
    by_run = conflicts.per_run(conflicts.per_epoch(found.curves, LABELS), LABELS)
    variances = conflicts.axis_variance(by_run, axes_here)
    rows, findings = [], []
    parts: dict[str, claims.IntervalAt] = {}
    for axis, own in variances.groupby("axis", sort=False):
        interval = statistics.t_interval(own["variance"].tolist())
        row = {"axis": axis, "variance x 1e4": 1e4 * interval.mean, "low": 1e4 * interval.low}
        row |= {"high": 1e4 * interval.high, "values": by_run[str(axis)].nunique()}
        rows.append(row | reported.CONFLICT_VARIANCE.get(str(axis), {}))
    for updates in (a for a in ("rate", "batch") if a in axes_here):
        for other in (a for a in ("width", "depth", "weights") if a in axes_here):
            gap = conflicts.ratio(variances, updates, other)
            parts[f"log10 of the variance along {updates} over that along {other}"] = gap.at
            findings.append(f"C3: log10 of the variance along {updates} over that along {other}: {in_words(gap, 2)}.")
    notes = (
        "Variance of the share of conflicts along one axis with the others fixed, median over settings; seed: chance."
    )
    tables = [
        StudyTable("conflict-axes", "What changes the share of conflicts", pd.DataFrame(rows), notes, tuple(findings))
    ]
    tables.append(
        StudyTable("conflict-pairs", "Conflicts by pair", conflicts.pairs(found.curves), "Median over epochs.")
    )
    layers = conflicts.layers(found.curves, ["rate", "depth", "width"])
    tables.append(StudyTable("conflict-layers", "Conflicts by layer", layers, "Mean over pairs, epochs and runs."))
    return [*tables, claims.table({("C3", ""): parts})]


def _plan(factors: Sequence[float], *methods: str) -> Callable[[Context], list[PlannedRun]]:
    return lambda context: course_plan(context, factors, methods)


TARGETS = (
    Target(
        "royer2023/figure-4",
        "Conflicting gradients over training, with and without PCGrad",
        ("celeba",),
        _plan(FIGURE_4_RATES, "uniform", "pcgrad"),
        curves,
    ),
    Target(
        "royer2023/figure-5",
        "What changes the share of conflicting gradients, and between which tasks",
        ("domainnet", "taskonomy-tiny"),
        axis_plan,
        what_changes_them,
    ),
    Target(
        "royer2023/figure-E",
        "Conflicting gradients, losses and accuracy over learning rates and sizes",
        ("celeba", "domainnet"),
        _plan(FIGURE_E_RATES, "uniform"),
        curves,
    ),
)
