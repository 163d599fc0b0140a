"""Figures 8 to 11, 15, 16 and table 3: trade-offs of two tasks, and averages over grids of ordinary settings."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from scalarize.analysis import fronts
from scalarize.analysis.study_tables import StudyTable
from scalarize.studies import axes
from scalarize.studies.study import Context, PlannedRun, StudyResults, Target
from scalarize.studies.xin2022 import grids, reported
from scalarize.studies.xin2022.grids import CELEBA, CITYSCAPES, MULTI_MNIST, SCALARIZATION, Grid
from scalarize.utils.errors import RequestError

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


def plane(found: StudyResults, x: MetricOfTask, y: MetricOfTask, split: str = "test") -> StudyTable:
    """Return all models in the plane of two metrics, and the rows of those that no other dominates."""
    frame = fronts.plane(found.measures, x, y, split)
    titles = [" ".join(m) for m in (x, y)]
    frame = frame.assign(x_label=titles[0], y_label=titles[1])
    said = (fronts.front_in_words(frame, SCALARIZATION),) if frame["row"].nunique() > 1 and len(frame) else ()
    return StudyTable("plane", f"{split.capitalize()} {titles[1]} against {titles[0]}", frame, POINTS, said)


def losses_and_metrics(found: StudyResults) -> list[StudyTable]:
    """Return figure 8: the two test losses, then pixel accuracy against absolute error (the metrics that the tasks
    have).
    """
    absolute, accuracy = pair(found.context, 0)[0], pair(found.context, 1)[1]
    return [plane(found, *pair(found.context)), plane(found, absolute, accuracy)]


def first_metrics(found: StudyResults) -> list[StudyTable]:
    """Return figures 15 and 16: each task's first metric."""
    return [plane(found, *pair(found.context, 0))]


def test_and_train(found: StudyResults) -> list[StudyTable]:
    """Return figure 9: the models of each weight in the planes of test and of training losses."""
    tables = [plane(found, *pair(found.context), split) for split in ("test", "train")]
    front = tables[0].frame[tables[0].frame["front"]]
    low = int((front["weight"] < 0.2).sum())
    first = found.context.data.names[0]
    said = f"{low} of {len(front)} models on the test front have a weight of {first} below 0.2 (the paper: most)."
    return [StudyTable(t.kind, t.title, t.frame, t.note, (said,) if k == 0 else ()) for k, t in enumerate(tables)]


def averages(found: StudyResults) -> list[StudyTable]:
    """Return figure 10: validation and test error of every model, and the effect of grid and method."""
    models = fronts.averages(found.results)
    note = "Percent, mean over tasks; weights of the best validation epoch."
    return [StudyTable("averages", "Average error of every model", models, note, tuple(fronts.spread(models)))]


def by_rate(found: StudyResults) -> list[StudyTable]:
    """Return figure 11: test error by learning rate, the other setting of each point chosen on validation."""
    models = fronts.best(fronts.averages(found.results), ["row", "rate", "seed"])
    frame = models.groupby(["row", "rate"], sort=False)["test"].mean().reset_index()
    ranks = []
    for rate, own in frame.dropna().groupby("rate"):
        leader = own.sort_values("test")["row"].iloc[0]
        ranks.append(f"learning rate {rate:g}: best {leader}")
    said = f"Ranking by learning rate: {'; '.join(ranks)}."
    note = "Regularisation of each point chosen on validation."
    return [StudyTable("by-rate", "Average test error by learning rate", frame, note, (said,))]


def table_3(found: StudyResults) -> list[StudyTable]:
    """Return table 3: the best model of each row on validation, beside the errors that papers report."""
    models = fronts.best(fronts.averages(found.results), ["row", "seed"])
    rows = []
    for row, own in models.groupby("row", sort=False):
        here = {"row": row, "test": own["test"].mean(), "validation": own["validation"].mean()}
        beside = reported.TABLE_3.get(str(row).partition("-")[0], {})
        rows.append(here | {f"paper {key}": value for key, value in beside.items()})
    gap = (models["test"] - models["validation"]).mean()
    said = f"Test error lies {gap:.2f} above the validation error that chose the model (mean over rows)."
    note = "Percent. Columns in brackets: papers by their number in the paper's references; test, validation: its own."
    return [StudyTable("table-3", "Average error beside the literature", pd.DataFrame(rows), note, (said,))]


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

    return Target(f"xin2022/{name}", title, (grid.workload,), plan, tables)


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
