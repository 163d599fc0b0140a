"""Figures 8 to 11, 15, 16 and table 3: trade-offs of two tasks, and averages over grids of ordinary settings.

In figure 9 the front of each weight is a line of its own; figure 10 shows test and validation error side by side; in
figure 11 the least error of each row stands beside the one that the paper prints. The best settings of a row are those
of validation, except in figure 11, whose printed errors are the least of a curve over learning rates.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pandas as pd

from scalarize.analysis import claims, front_claims, fronts, trade_offs
from scalarize.analysis.study_tables import StudyTable
from scalarize.studies import axes
from scalarize.studies.study import Context, PlannedRun, StudyResults, Target
from scalarize.studies.xin2022 import grids, reported
from scalarize.studies.xin2022.grids import CELEBA, CITYSCAPES, MULTI_MNIST, SCALARIZATION, Grid
from scalarize.utils.errors import RequestError

BEYOND = "No optimiser improves on the front of scalarization (section 4.3)"
BALANCE = "Most of the front has a small weight of the task with the larger loss (section 4.3)"
TUNING = "Tuning decides more than the choice of the optimiser (section 4.3.1)"
LOW = 0.2  # a weight of the first task, as in the text
STATED = (
    "Optimisers other than MGDA work on gradients of parameters; MGDA on the representation, as in Sener and Koltun",
    "One seed: the paper states none",
)
POINTS = "A point a model, at its best validation epoch; the line joins those that no other dominates."
MetricOfTask = tuple[str, str]


def pair(context: Context, further: int | None = None) -> tuple[MetricOfTask, MetricOfTask]:
    """Return (task, metric) of the second and the first task, for the x and the y axis.

    ``further`` None stands for their losses, a number for the metric of that number, or the last one if a task has
    fewer. Raises RequestError for a single task.
    """
    objectives = context.data.objectives
    if len(objectives) < 2:
        raise RequestError(f"`workload` {context.workload.name}: a trade-off needs two tasks or domains")

    def metric(position: int) -> MetricOfTask:
        known = list(objectives[position].task.measures)
        return objectives[position].name, "loss" if further is None else known[min(further, len(known) - 1)]

    return metric(1), metric(0)


def models_of(found: StudyResults, x: MetricOfTask, y: MetricOfTask, split: str) -> tuple[pd.DataFrame, list[bool]]:
    """Return all models in the plane of two metrics, with labels of its axes; and if higher is better, for x and y."""
    frame = fronts.plane(found.measures, x, y, split)
    seen = found.measures
    directions = [bool((seen.loc[(seen["task"] == t) & (seen["metric"] == m), "sign"] > 0).all()) for t, m in (x, y)]
    return frame.assign(x_label=" ".join(x), y_label=" ".join(y)), directions


def plane(found: StudyResults, x: MetricOfTask, y: MetricOfTask) -> list[StudyTable]:
    """Return all models in the plane of two test metrics, the rows of the non-dominated ones, and the verdict."""
    frame, directions = models_of(found, x, y, "test")
    said = (fronts.front_in_words(frame, SCALARIZATION),) if frame["row"].nunique() > 1 and len(frame) else ()
    table = StudyTable("plane", f"Test {' '.join(y)} against {' '.join(x)}", frame, POINTS, said)
    corner = trade_offs.corner(frame, {}, directions) if len(frame) else (0.0, 0.0)
    parts = front_claims.nothing_beyond(frame, SCALARIZATION, corner, directions)
    trial = claims.table({(BEYOND, f"{' '.join(y)} against {' '.join(x)}"): parts})
    return [table, replace(trial, title=f"{trial.title}, {' '.join(y)}")]


def losses_and_metrics(found: StudyResults) -> list[StudyTable]:
    """Return figure 8: the two test losses, then pixel accuracy against absolute error (the metrics that the tasks
    have).
    """
    absolute, accuracy = pair(found.context, 0)[0], pair(found.context, 1)[1]
    return [*plane(found, *pair(found.context)), *plane(found, absolute, accuracy)]


def first_metrics(found: StudyResults) -> list[StudyTable]:
    """Return figures 15 and 16: each task's first metric."""
    return plane(found, *pair(found.context, 0))


def test_and_train(found: StudyResults) -> list[StudyTable]:
    """Return figure 9: of each weight, the models that no other of it dominates, by test and by training losses."""
    first = found.context.data.names[0]
    tables = []
    for split in ("test", "train"):
        frame, directions = models_of(found, *pair(found.context), split)
        own = trade_offs.within(frame.assign(row=frame["weight"]), directions)
        shown = frame.assign(line=own, lined="", row=[f"weight {w:g}" for w in frame["weight"]])[own]
        title = f"{split.capitalize()} {shown['y_label'].iloc[0]} against {shown['x_label'].iloc[0]}"
        note = f"A line a weight of {first}: the models of it that no other of the same weight dominates."
        tables.append(StudyTable("two-tasks", title, shown.sort_values("weight"), note))
        if split == "test":
            front = frame[frame["front"]]
            low = int((front["weight"] < LOW).sum())
            said = f"{low} of {len(front)} models on the test front have a weight of {first} below {LOW:g}"
            said += " (the paper: most)."
            tables[-1] = replace(tables[-1], findings=(said,))
            trial = claims.table({(BALANCE, ""): front_claims.low_weights(frame, LOW)})
    return [*tables, trial]


def averages(found: StudyResults) -> list[StudyTable]:
    """Return figure 10: test and validation error of every model, and the effect of grid and method."""
    everything = fronts.averages(found.results)
    models, said = fronts.diverged_last(everything), fronts.diverged_in_words(everything)
    note = "Percent, mean over tasks; weights of the best validation epoch."
    table = StudyTable("averages", "Average error of every model", everything, note, (*fronts.spread(models), *said))
    return [table, _tuning(models)]


def _tuning(models: pd.DataFrame) -> StudyTable:
    edge = front_claims.rates_at_the_edge(models)
    flaws = {(TUNING, ""): [claims.Flaw(edge)]} if edge else {}
    return claims.table({(TUNING, ""): front_claims.tuning_over_choice(models)}, flaws)


def by_rate(found: StudyResults) -> list[StudyTable]:
    """Return figure 11: test error by learning rate, the other setting of each point chosen on validation.

    Beside it stand the least error of each row over the learning rates, and the one in the paper's legend.
    """
    seen = fronts.averages(found.results)
    everything = fronts.diverged_last(seen)
    models = fronts.best(everything, ["row", "rate", "seed"])
    frame = models.groupby(["row", "rate"], sort=False)["test"].mean().reset_index()
    ranks = []
    for rate, own in frame.dropna().groupby("rate"):
        leader = own.sort_values("test")["row"].iloc[0]
        ranks.append(f"learning rate {rate:g}: best {leader}")
    said = f"Ranking by learning rate: {'; '.join(ranks)}."
    note = "Regularisation of each point chosen on validation."
    return [
        StudyTable(
            "by-rate", "Average test error by learning rate", frame, note, (said, *fronts.diverged_in_words(seen))
        ),
        _beside_printed(frame),
        _tuning(everything),
    ]


def _beside_printed(frame: pd.DataFrame) -> StudyTable:
    """Return the least of each row's curve, and the paper's."""
    least = frame.groupby("row", sort=False)["test"].min()
    rows = [{"row": row, "kind": "here", "mean": value} for row, value in least.items()]
    rows += [
        {"row": row, "kind": "paper", "mean": reported.FIGURE_11[row]}
        for row in least.index
        if row in reported.FIGURE_11
    ]
    note = "Percent. The least of the row's curve over learning rates, as in the legend of the paper's figure."
    wide = pd.DataFrame(rows).assign(low=math.nan, high=math.nan)
    return StudyTable("contrast", "Least average test error (here and in the paper)", wide, note)


def table_3(found: StudyResults) -> list[StudyTable]:
    """Return table 3: the best model of each row on validation, beside the errors that papers report."""
    seen = fronts.averages(found.results)
    models = fronts.best(fronts.diverged_last(seen), ["row", "seed"])
    rows = []
    for row, own in models.groupby("row", sort=False):
        here = {"row": row, "test": own["test"].mean(), "validation": own["validation"].mean()}
        beside = reported.TABLE_3.get(str(row).partition("-")[0], {})
        rows.append(here | {f"paper {key}": value for key, value in beside.items()})
    gap = (models["test"] - models["validation"]).mean()
    said = f"Test error lies {gap:.2f} above the validation error that chose the model (mean over rows)."
    note = "Percent. Columns in brackets: papers by their number in the paper's references; test, validation: its own."
    findings = (said, *fronts.diverged_in_words(seen))
    return [StudyTable("table-3", "Average error beside the literature", pd.DataFrame(rows), note, findings)]


def _target(
    name: str,
    title: str,
    grid: Grid,
    tables: Callable[[StudyResults], list[StudyTable]],
    methods: bool = True,
    weights: bool = True,
    average: bool = False,
) -> Target:
    def plan(context: Context) -> list[PlannedRun]:
        return grids.plan(axes.averaged(context) if average else context, grid, methods, weights)

    return Target(f"xin2022/{name}", title, (grid.workload,), plan, tables, (*STATED, *grid.stated))


TARGETS = (
    _target(
        "figure-8", "Optimisers and scalarization on Cityscapes: losses and metrics", CITYSCAPES, losses_and_metrics
    ),
    _target("figure-9", "Scalarization on Cityscapes: test and training", CITYSCAPES, test_and_train, methods=False),
    _target("figure-10", "Tuning against the choice of optimiser on CelebA", CELEBA, averages, average=True),
    _target("figure-11", "Test error by learning rate on CelebA", CELEBA, by_rate, average=True),
    _target("table-3", "CelebA beside the literature", CELEBA, table_3, average=True),
    _target(
        "figure-15", "Optimisers and scalarization on Cityscapes: mIoU and absolute error", CITYSCAPES, first_metrics
    ),
    _target("figure-16", "Optimisers and scalarization on Multi-MNIST", MULTI_MNIST, first_metrics),
)
