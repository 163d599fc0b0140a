"""Figures 2 to 7 and 12 to 14: two translation tasks (or any two) and their front."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pandas as pd

from scalarize.analysis import claims, front_claims, fronts, trade_offs
from scalarize.analysis.study_tables import StudyTable
from scalarize.studies.study import Context, PlannedRun, StudyResults, Target
from scalarize.studies.xin2022 import reported, tables, translation
from scalarize.studies.xin2022.grids import SCALARIZATION
from scalarize.tasks.task import Objective
from scalarize.utils.errors import RequestError

PAIRS = reported.PAIRS
BEYOND = "No optimiser improves on the front of scalarization (section 4.1)"
LOWER_LEFT = "Larger models have fronts strictly to the lower left of the base model's (section 4.1)"
SPARSE = "Sparse tuning of the learning rate deviates more than the seed (section 4.1)"
STATED = (
    "Gradients of optimisers at parameter level, MGDA without normalisation, random weights are weights of losses",
    "Adam's betas (0.9, 0.98), sentences of at most 128 pieces, BLEU's beam with length penalty 0.6, one seed",
    "530,000 and 397,520 steps, whole numbers of evaluations (the paper: 530,038 and 397,529)",
    "The best learning rate, where one is wanted, is the paper's 0.5, not the data's own",
)
LINE = "The line joins the models of scalarization that no other of them dominates."
UTILITIES = tuple(k / 10 for k in range(11))
MetricOfTask = tuple[str, str]


def metric_of(objective: Objective, wanted: str) -> str:
    """Return ``wanted`` if the task measures it; for the loss, its cross-entropy without smoothing if it has one."""
    known = objective.task.measures
    if wanted == "loss":
        return "cross-entropy" if "cross-entropy" in known else "loss"
    return wanted if wanted in known else objective.task.metric_name


def pair(context: Context, wanted: str) -> tuple[MetricOfTask, MetricOfTask]:
    """Return (task, metric) of the second and the first task, for x and y. Raises RequestError for a single task."""
    objectives = context.data.objectives
    if len(objectives) < 2:
        raise RequestError(f"`workload` {context.workload.name}: a trade-off needs two tasks or domains")
    x, y = ((o.name, metric_of(o, wanted)) for o in (objectives[1], objectives[0]))
    return x, y


def reference(context: Context, wanted: str) -> dict[str, float | None]:
    """Return the values of a model that has learned nothing, for x and y, if they are known."""
    x, y = pair(context, wanted)
    fixed = {"token-error": 1.0, "bleu": 0.0}
    objectives = {o.name: o for o in context.data.objectives}
    return {
        letter: fixed[metric] if metric in fixed else context.data.constant(objectives[name], metric)
        for letter, (name, metric) in (("x", x), ("y", y))
    }


def plane(
    found: StudyResults, wanted: str, split: str, everything: bool = False, line: str | None = SCALARIZATION
) -> list[StudyTable]:
    """Return models in the plane of the two tasks, what the others add to the front of ``line``, and the verdict.

    ``everything`` includes dominated models, those of ``line`` as a curve by learning rate; otherwise each row keeps
    those that none of the same row dominates. ``line`` is None if each row is a depth with a line of its own.
    """
    x, y = pair(found.context, wanted)
    models = fronts.plane(found.measures, x, y, split)
    directions = [bool((found.measures.loc[_is(found.measures, m), "sign"] > 0).all()) for m in (x, y)]
    models = models.assign(line=trade_offs.within(models, directions))
    if line is not None:
        said = [fronts.front_in_words(models, line)] if len(models) else []
        corner = trade_offs.corner(models, reference(found.context, wanted), directions)
        verdict = (BEYOND, front_claims.nothing_beyond(models, line, corner, directions))
        volumes = trade_offs.volumes(models, line, corner, directions)
        said += [trade_offs.added(volumes)] if len(volumes) else []
        note = f"Worst corner: {corner[0]:.4g} ({' '.join(x)}), {corner[1]:.4g} ({' '.join(y)}). Student's intervals."
        further = [StudyTable("contrast", f"Hypervolume ({split}, {y[1]})", volumes, note)] if len(volumes) else []
    else:
        said, further = [], []
        base = str(models["row"].iloc[0]) if len(models) else ""
        verdict = (LOWER_LEFT, front_claims.lower_left(models, base, directions))
    trial = claims.table({(verdict[0], f"{split} {y[1]}"): verdict[1]})
    trial = replace(trial, title=f"{trial.title}, {split} {y[1]}")
    shown = models if everything else models[models["line"]]
    shown = shown.assign(lined=line or "", by_rate=everything, x_label=" ".join(x), y_label=" ".join(y))
    title = f"{split.capitalize()} {' '.join(y)} against {' '.join(x)}"
    note = f"A point a model. {LINE}" if line else "A point a model, a line a depth."
    note += " Curves join the weights of one learning rate." if everything else ""
    return [StudyTable("two-tasks", title, shown, note, tuple(said)), *further, trial]


def _is(measures: pd.DataFrame, what: MetricOfTask) -> pd.Series[bool]:
    return (measures["task"] == what[0]) & (measures["metric"] == what[1])


def losses(found: StudyResults) -> list[StudyTable]:
    """Return figures 2, 4 and 5: the test loss at the best epoch, the training loss at the last one."""
    return [t for split in ("test", "train") for t in plane(found, "loss", split)]


def all_losses(found: StudyResults) -> list[StudyTable]:
    """Return figure 12: the same with dominated models."""
    return [t for split in ("test", "train") for t in plane(found, "loss", split, everything=True)]


def errors(found: StudyResults) -> list[StudyTable]:
    """Return figure 13: token errors, or the tasks' first metrics, on validation and on training data."""
    return [t for split in ("validation", "train") for t in plane(found, "token-error", split)]


def bleu(found: StudyResults) -> list[StudyTable]:
    """Return figure 14: BLEU, or the tasks' first metrics."""
    return plane(found, "bleu", "test")


def weights(found: StudyResults) -> list[StudyTable]:
    """Return figure 3: the first task's share of the weights over epochs."""
    first = found.context.data.names[0]
    frame = trade_offs.weight_of_first(found.curves, first)
    moved = [f"{row} {g['mean'].min():.2f} to {g['mean'].max():.2f}" for row, g in frame.groupby("row", sort=False)]
    said = f"Share of {first} over training, mean of an epoch: {'; '.join(moved)}."
    note = "Weights that a method implies, over their sum; mean over steps, band over seeds."
    return [StudyTable("bands", f"Weight of {first} over epochs", frame, note, (said,))]


def sparse(found: StudyResults) -> list[StudyTable]:
    """Return figure 6, left: the effect of a sparse grid beside that of the seed."""
    wanted = {o.name: metric_of(o, "loss") for o in found.context.data.objectives}
    losses = found.measures[found.measures["metric"] == found.measures["task"].map(wanted)]
    models = losses.groupby(fronts.MODEL, sort=False)[["validation", "test"]].mean().reset_index()
    frame = trade_offs.of_tunings(models)
    note = "Deviation of the average test loss; the best rate of each grid by validation; intervals from chi-squared."
    return [
        StudyTable("contrast", "Deviation (sparse grids and seeds)", frame, note, (trade_offs.tuning_in_words(frame),)),
        claims.table({(SPARSE, ""): front_claims.sparse_over_seeds(frame)}),
    ]


def utilities(found: StudyResults) -> list[StudyTable]:
    """Return figure 6, right: the ranking as the second task counts more."""
    x, y = pair(found.context, "loss")
    models = fronts.plane(found.measures, x, y)
    for letter, what in (("x", x), ("y", y)):
        own = found.measures[_is(found.measures, what)].set_index("run")["validation"]
        models[f"{letter}_validation"] = models["run"].map(own)
    models = models.assign(row=models["row"].where(~models["row"].str.startswith("gradnorm"), "gradnorm"))
    frame = trade_offs.by_utility(models, [SCALARIZATION, *translation.RANKED], UTILITIES)
    said = [trade_offs.rankings(frame)]
    others = frame[frame["row"] != SCALARIZATION]
    said += [trade_offs.rankings(others).replace("Best", "Best of the optimisers", 1)] if len(others) else []
    note = f"u {' '.join(x)} + (1 - u) {' '.join(y)} on test; each row's model chosen by the same on validation."
    return [
        StudyTable("utility", "Ranking by the weight of the second task", frame.assign(label=x[0]), note, tuple(said))
    ]


def depths(found: StudyResults) -> list[StudyTable]:
    """Return figure 7: one front per depth."""
    return [t for split in ("test", "train") for t in plane(found, "loss", split, line=None)]


def _target(
    name: str,
    title: str,
    workloads: tuple[str, ...],
    plan: Callable[[Context], list[PlannedRun]],
    made: Callable[[StudyResults], list[StudyTable]],
) -> Target:
    return Target(f"xin2022/{name}", title, workloads, plan, made, STATED)


TARGETS = (
    _target("figure-2", "Optimisers and scalarization, French and Chinese", PAIRS[:1], translation.front, losses),
    _target("figure-3", "Weights over training", PAIRS[:1], translation.watched, weights),
    _target("figure-4", "Optimisers and scalarization, French and German", PAIRS[1:2], translation.front, losses),
    _target("figure-5", "Optimisers and scalarization, French and Romanian", PAIRS[2:], translation.front, losses),
    _target("figure-6-left", "Sparse tuning against the seed", PAIRS[:1], translation.sparse, sparse),
    _target("figure-6-right", "Ranking under a sliding utility", PAIRS[:1], translation.ranked, utilities),
    _target("figure-7", "Fronts by depth", PAIRS[:1], translation.deeper, depths),
    _target("table-1", "Sources of data", PAIRS, lambda context: [], tables.sources),
    _target("table-2", "Size and speed by depth", PAIRS[:1], lambda context: [], tables.speed),
    _target("figure-12", "All models, French and Chinese", PAIRS[:1], translation.front, all_losses),
    _target("figure-13", "Token errors, French and Chinese", PAIRS[:1], translation.front, errors),
    _target("figure-14", "BLEU of all pairs", PAIRS, translation.front, bleu),
)
