"""Figures 2 to 7 and 12 to 14, and table 2: two translation tasks (or any two) and their front."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from scalarize import methods
from scalarize.analysis import fronts, trade_offs
from scalarize.analysis.study_tables import StudyTable
from scalarize.learners.supervised import SupervisedLearner
from scalarize.studies import axes
from scalarize.studies.study import Context, PlannedRun, StudyResults, Target
from scalarize.studies.xin2022 import reported, translation
from scalarize.studies.xin2022.grids import SCALARIZATION, shares
from scalarize.tasks.task import Objective
from scalarize.utils.errors import RequestError

PAIRS = ("nmt-en-fr-zh", "nmt-en-fr-de", "nmt-en-fr-ro")
LINE = "The line joins the models of scalarization that no other of them dominates."
UTILITIES = tuple(k / 10 for k in range(11))
STEPS, ROUNDS = 20, 3  # of a measurement of speed
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
    """Return models in the plane of the two tasks, and what the others add to the front of ``line``.

    ``everything`` includes dominated models; otherwise each row keeps those that none of the same row dominates.
    ``line`` is None if each row has a line of its own.
    """
    x, y = pair(found.context, wanted)
    models = fronts.plane(found.measures, x, y, split)
    directions = [bool((found.measures.loc[_is(found.measures, m), "sign"] > 0).all()) for m in (x, y)]
    models = models.assign(line=trade_offs.within(models, directions))
    if line is not None:
        said = [fronts.front_in_words(models, line)] if len(models) else []
        corner = trade_offs.corner(models, reference(found.context, wanted), directions)
        volumes = trade_offs.volumes(models, line, corner, directions)
        said += [trade_offs.added(volumes)] if len(volumes) else []
        note = f"Worst corner: {corner[0]:.4g} ({' '.join(x)}), {corner[1]:.4g} ({' '.join(y)}). Student's intervals."
        further = [StudyTable("contrast", f"Hypervolume ({split}, {y[1]})", volumes, note)] if len(volumes) else []
    else:
        said, further = [], []
    shown = models if everything else models[models["line"]]
    shown = shown.assign(lined=line or "", x_label=" ".join(x), y_label=" ".join(y))
    title = f"{split.capitalize()} {' '.join(y)} against {' '.join(x)}"
    note = f"A point a model. {LINE}" if line else "A point a model, a line a depth."
    return [StudyTable("two-tasks", title, shown, note, tuple(said)), *further]


def _is(measures: pd.DataFrame, what: MetricOfTask) -> pd.Series[bool]:
    return (measures["task"] == what[0]) & (measures["metric"] == what[1])


def losses(found: StudyResults) -> list[StudyTable]:
    """Return figures 2, 4 and 5: the test loss at the best epoch, the training loss at the last one."""
    return [t for split in ("test", "train") for t in plane(found, "loss", split)]


def all_losses(found: StudyResults) -> list[StudyTable]:
    """Return figure 12: the same with dominated models."""
    return [t for split in ("test", "train") for t in plane(found, "loss", split, everything=True)]


def errors(found: StudyResults) -> list[StudyTable]:
    """Return figure 13: token errors, or the tasks' first metrics."""
    return [t for split in ("test", "train") for t in plane(found, "token-error", split)]


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
        StudyTable("contrast", "Deviation (sparse grids and seeds)", frame, note, (trade_offs.tuning_in_words(frame),))
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


def speed(found: StudyResults) -> list[StudyTable]:
    """Return table 2: parameters and steps per second by depth, and of the smallest model with per-task gradients."""
    context = found.context
    sizes = translation.depths(context)
    wanted: list[tuple[str, Mapping[str, Any], str | None]] = [(f"depth {s.depth}", s.settings, None) for s in sizes]
    wanted.insert(1, (f"depth {sizes[0].depth}, MGDA", sizes[0].settings, "mgda"))
    steps = context.budget.count(STEPS, 4 if context.budget.levels else None)
    timed = [Timed(context, settings, method, steps) for _, settings, method in wanted]
    for _ in range(1 + ROUNDS):  # in turns: the machine's speed drifts
        for each in timed:
            each.go_on()
    rows = []
    for (name, _, _), each in zip(wanted, timed, strict=True):
        low, middle, high = (float(q) for q in np.quantile(each.steps[1:], (0.0, 0.5, 1.0)))  # the first is warm-up
        row: dict[str, Any] = {"row": name, "kind": "steps a second", "mean": middle, "low": low, "high": high}
        units = float(np.median(each.units[1:]))
        row |= {"million parameters": each.millions, "units a second": units, **reported.TABLE_2.get(name, {})}
        rows.append(row)
    frame = pd.DataFrame(rows)
    base, slowed = frame["mean"].iloc[0], frame["mean"].iloc[1]
    said = f"Per-task gradients take {base / slowed:.2f} times as long a step as scalarization (the paper: 2.40 times)."
    note = (
        f"Whole steps of the training, reading and optimiser included; median and range of {ROUNDS} rounds in turns, "
    )
    note += f"each of {steps} steps, after one to warm up."
    return [StudyTable("contrast", "Steps a second (by depth)", frame, note, (said,))]


class Timed:
    """A training in pieces of ``per`` steps; method None: scalarization at equal rates.

    ``millions``: of parameters. ``steps``, ``units`` (tokens): per second, of each piece.
    """

    def __init__(self, context: Context, settings: Mapping[str, Any], method: str | None, per: int) -> None:
        recipe = axes.with_settings(context.problem, dict(settings)).recipe(context.workload)
        data = replace(context.data, epoch_size=per * recipe.batch_size)
        self._seen: list[Any] = []
        self._learner = SupervisedLearner(
            data,
            lambda: context.workload.build(recipe.model, data),
            recipe,
            0,
            context.problem.device,
            on_rows=self._seen.extend,
        )
        equal = methods.constant(list(shares(data.names, None).values()))
        self._chosen, self._per = equal if method is None else methods.create(method), per
        self.millions = sum(p.numel() for p in self._learner.model.parameters()) / 1e6
        self.steps: list[float] = []
        self.units: list[float] = []

    def go_on(self) -> None:
        """Train the next piece."""
        self._seen.clear()
        begun = time.perf_counter()
        self._learner.train(self._chosen, self._learner.epoch + 1)
        taken = time.perf_counter() - begun
        self.steps.append(self._per / taken)
        self.units.append(sum(row["value"] for row in self._seen if row["metric"] == "units") / taken)


def _target(
    name: str,
    title: str,
    workloads: tuple[str, ...],
    plan: Callable[[Context], list[PlannedRun]],
    tables: Callable[[StudyResults], list[StudyTable]],
) -> Target:
    return Target(f"xin2022/{name}", title, workloads, plan, tables)


TARGETS = (
    _target("figure-2", "Optimisers and scalarization, French and Chinese", PAIRS[:1], translation.front, losses),
    _target("figure-3", "Weights over training", PAIRS[:1], translation.watched, weights),
    _target("figure-4", "Optimisers and scalarization, French and German", PAIRS[1:2], translation.front, losses),
    _target("figure-5", "Optimisers and scalarization, French and Romanian", PAIRS[2:], translation.front, losses),
    _target("figure-6-left", "Sparse tuning against the seed", PAIRS[:1], translation.sparse, sparse),
    _target("figure-6-right", "Ranking under a sliding utility", PAIRS[:1], translation.ranked, utilities),
    _target("figure-7", "Fronts by depth", PAIRS[:1], translation.deeper, depths),
    _target("table-2", "Size and speed by depth", PAIRS[:1], lambda context: [], speed),
    _target("figure-12", "All models, French and Chinese", PAIRS[:1], translation.front, all_losses),
    _target("figure-13", "Token errors, French and Chinese", PAIRS[:1], translation.front, errors),
    _target("figure-14", "BLEU of all pairs", PAIRS, translation.front, bleu),
)
