"""Conflicting gradients: figures 4, 5 and E, and supplement, figure 1. Their share, its causes, and its relation to
accuracy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from scalarize.analysis import claims, conflicts, statistics
from scalarize.analysis.statistics import in_words
from scalarize.analysis.study_tables import StudyTable
from scalarize.studies.royer2023 import reported, stated
from scalarize.studies.royer2023.conflict_plan import (
    FIGURE_4,
    FIGURE_E,
    LOOKS,
    SUPPLEMENT,
    SUPPLEMENT_OF,
    Course,
    axis_plan,
    course_plan,
)
from scalarize.studies.study import Context, PlannedRun, StudyResults, Target

LABELS = ("rate", "batch", "depth", "width", "decoder", "weights", "method")
SHOWN = ["method", "rate", "batch", "depth", "width", "decoder"]
UPDATES = ("rate", "batch", "layer")  # what C3 says changes the share
CAPACITY = ("width", "depth", "decoder", "weights")  # what it says hardly does
ENOUGH = 8  # epochs over which a share grows or not "towards the end"; our choice
LOW = 0.3  # a correlation below it is low: Cohen (1988) calls 0.3 a medium one
TOWARDS = "C3, towards the end"
PROBED = f"At most {LOOKS} batches of an epoch are probed (the paper: all)."


def epochs_of(found: StudyResults) -> pd.DataFrame:
    """Return share, loss and validation score of each run at each epoch."""
    objectives = found.context.data.objectives
    metrics = {o.name: (o.task.metric_name, 1 if o.task.higher_is_better else -1) for o in objectives}
    return conflicts.per_epoch(found.curves, LABELS, metrics)


def curves(found: StudyResults) -> list[StudyTable]:
    """Return figures 4, E and supplement 1: the share of conflicting pairs over epochs, the loss, and accuracy."""
    epochs = epochs_of(found)
    shown = epochs.groupby([*SHOWN, "epoch"], sort=False)[["share", "loss", "score"]].mean().reset_index()
    by_run = conflicts.per_run(epochs, LABELS)
    ends = statistics.t_interval((by_run["end"] - by_run["start"]).groupby(by_run["seed"]).mean().tolist())
    findings = [f"C3: the share of conflicting pairs changes from first to last epoch by {in_words(ends)}."]
    findings.append(f"C3: on the line through all epochs it changes by {in_words(_rise(by_run))}.")
    grows: dict[str, claims.IntervalAt] = {}
    for method, own in by_run.groupby("method", sort=False):
        grows[f"share of conflicts with {method}, change over the training on the line through all epochs"] = _rise(
            own
        ).at
        mean = statistics.t_interval(own.groupby("seed")["share"].mean().tolist())
        findings.append(f"C3: share of conflicting pairs with {method}: {in_words(mean)}.")
    note = f"Means over seeds. {PROBED}"
    course = StudyTable("conflict-course", "Conflicting pairs over epochs", shown, note, tuple(findings))
    against, low = _against_accuracy(found, epochs, by_run)
    fewest = int(by_run["epochs"].min()) if len(by_run) else 0
    short = [claims.Flaw(f"{fewest} epochs were probed, and {ENOUGH} are the least to judge by", both=True)]
    flaws = {(TOWARDS, ""): short} if fewest < ENOUGH else {}
    return [course, against, claims.table({(TOWARDS, ""): grows} | low, flaws)]


def _rise(by_run: pd.DataFrame) -> statistics.Interval:
    """Return the growth of the share over a training by its trend over all epochs, over seeds."""
    return statistics.t_interval(by_run["rise"].groupby(by_run["seed"]).mean().tolist())


Claims = dict[tuple[str, str], dict[str, claims.IntervalAt]]


def _against_accuracy(found: StudyResults, epochs: pd.DataFrame, by_run: pd.DataFrame) -> tuple[StudyTable, Claims]:
    """Return the share of conflicts with the score at each epoch (supplement 1b and c), or at the end of runs without
    a score at every epoch; and the claim that the two hardly correlate (sections 4.2 and 7).
    """
    split = "test" if found.results["test"].notna().any() else "validation"
    scored = found.results.assign(score=found.results["sign"] * found.results[split])
    final = scored.groupby("run")["score"].agg(statistics.mean_of_all)
    each = [conflicts.relation(own, final) for _, own in by_run.groupby("seed")]
    known = [r for r in each if not np.isnan(r)]
    finding, low = "every run has the same share or score", Claims()
    if known:
        finding = f"rank correlation over runs {in_words(statistics.t_interval(known))}"
        parts = {
            f"{LOW} {word} the rank correlation of runs' mean share with their final score": sign * 1.0
            for word, sign in (("minus", -1), ("plus", 1))
        }
        low[("C3, low correlation with performance", "")] = {
            name: statistics.t_interval([LOW + sign * r for r in known]).at for name, sign in parts.items()
        }
    by_epoch = bool(epochs["score"].notna().any())
    rows = epochs if by_epoch else by_run.merge(final.rename("score"), left_on="run", right_index=True)
    where = (
        "a point an epoch; score: average validation metric" if by_epoch else f"a point a run; score: average {split}"
    )
    table = StudyTable(
        "conflict-accuracy",
        "Conflicts against the score",
        rows[[*SHOWN, "seed", *(["epoch"] if by_epoch else []), "share", "score"]],
        f"{where}, negated where lower is better.".capitalize(),
        (f"C3: mean share of conflicts against the final score: {finding}.",),
    )
    return table, low


def what_changes_them(found: StudyResults) -> list[StudyTable]:
    """Return figure 5: variance along each axis beside the paper's, the matrix of pairs, and single layers."""
    axes_here = [a for a in LABELS if found.results[a].nunique() > 1]
    by_run = conflicts.per_run(conflicts.per_epoch(found.curves, LABELS), LABELS)
    variances = pd.concat([conflicts.axis_variance(by_run, axes_here), conflicts.layer_variance(found.curves)])
    rows, findings = [], []
    for axis, own in variances.groupby("axis", sort=False):
        interval = statistics.t_interval(own["variance"].tolist())
        row = {"axis": axis, "variance x 1e4": 1e4 * interval.mean, "low": 1e4 * interval.low}
        row |= {"high": 1e4 * interval.high}
        row |= {"values": by_run[str(axis)].nunique()} if axis in by_run else {}
        rows.append(row | reported.CONFLICT_VARIANCE.get(str(axis), {}))
    tried: Claims = {("C3", ""): {}, ("C3, layers", ""): {}}
    for updates in (a for a in UPDATES if a in set(variances["axis"])):
        for other in (a for a in CAPACITY if a in axes_here):
            gap = conflicts.ratio(variances, updates, other)
            claim = "C3, layers" if updates == "layer" else "C3"
            tried[claim, ""][f"log10 of the variance along {updates} over that along {other}"] = gap.at
            findings.append(f"C3: log10 of the variance along {updates} over that along {other}: {in_words(gap, 2)}.")
    notes = (
        "Variance of the share of conflicts along one axis with the others fixed, median over settings; depth: that of "
        f"the encoder; decoder: its shared layers; layer: over the layers of one model; seed: chance. {PROBED}"
    )
    tables = [
        StudyTable("conflict-axes", "What changes the share of conflicts", pd.DataFrame(rows), notes, tuple(findings))
    ]
    tables.append(_pairs(found))
    layers = conflicts.layers(found.curves, ["rate", "depth", "width", "decoder"])
    tables.append(StudyTable("conflict-layers", "Conflicts by layer", layers, "Mean over pairs, epochs and runs."))
    return [*tables, claims.table({claim: parts for claim, parts in tried.items() if parts})]


def _pairs(found: StudyResults) -> StudyTable:
    """Return figure 5b: the workload's own model, learning rate and batch, or what was run nearest to them."""
    recipe = found.context.problem.recipe(found.context.workload)
    own, said = found.curves[found.curves["weights"] == "uniform"], list[str]()
    wanted: dict[str, Any] = {"depth": recipe.model.get("depth"), "width": recipe.model.get("width")}
    wanted |= {"decoder": recipe.model.get("shared_decoder")}
    for key, value in {"rate": recipe.optimizer.lr, "batch": recipe.batch_size, **wanted}.items():
        values = own[key].unique()
        best = _nearest(list(values), value)
        own = own[own[key] == best]
        said += [f"{key} {best}"] if best != "" else []
    note = f"{', '.join(said).capitalize()}, even weights; median over epochs, mean over seeds."
    return StudyTable("conflict-pairs", "Conflicts by pair", conflicts.pairs(own), note)


def _nearest(values: list[Any], wanted: Any) -> Any:
    """Return the value of an axis that is, or lies nearest to, the one wanted; the last if they cannot be compared."""
    if str(wanted) in map(str, values):
        return next(v for v in values if str(v) == str(wanted))
    try:
        return min(values, key=lambda v: abs(np.log(float(v) / float(wanted))))
    except (TypeError, ValueError):
        return values[-1]


def _plan(course: Course) -> Callable[[Context], list[PlannedRun]]:
    return lambda context: course_plan(context, course)


def supplement_plan(context: Context) -> list[PlannedRun]:
    """List the trainings of supplement, figure 1, on CelebA's attributes or DomainNet's domains."""
    return course_plan(context, SUPPLEMENT_OF.get(context.workload.name, SUPPLEMENT))


TARGETS = (
    Target(
        "royer2023/figure-4",
        "Conflicting gradients over training, with and without PCGrad",
        ("celeba",),
        _plan(FIGURE_4),
        curves,
        stated.on(("celeba",), stated.PROBED),
    ),
    Target(
        "royer2023/figure-5",
        "What changes the share of conflicting gradients, and between which tasks",
        ("domainnet", "taskonomy-tiny"),
        axis_plan,
        what_changes_them,
        stated.on(("domainnet", "taskonomy-tiny"), stated.SWEPT, stated.PROBED),
    ),
    Target(
        "royer2023/figure-E",
        "Conflicting gradients over training, by batch size",
        ("domainnet",),
        _plan(FIGURE_E),
        curves,
        stated.on(("domainnet",), stated.BATCHED, stated.PROBED),
    ),
    Target(
        "royer2023/conflicts-and-accuracy",
        "Supplement, figure 1: conflicting gradients, losses and accuracy over learning rates and sizes",
        ("celeba", "domainnet"),
        supplement_plan,
        curves,
        stated.on(("celeba", "domainnet"), stated.PARTED, stated.PROBED),
    ),
)
