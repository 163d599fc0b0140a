"""Figures 1, 2 and 3: the results of each optimiser on the test split, and the cost of its step."""

from __future__ import annotations

import dataclasses

from scalarize.analysis import outcomes
from scalarize.analysis.study_tables import StudyTable
from scalarize.studies import axes, method_rows
from scalarize.studies.kurin2022 import protocol, reported, trials
from scalarize.studies.kurin2022.protocol import CELEBA, CITYSCAPES, MULTI_MNIST, REGULARISED, ROWS, TrainingProtocol
from scalarize.studies.study import Context, PlannedRun, StudyResults, Target

SELECTED = "Weights of the epoch with the best validation average."
NOTES = {
    "per-metric": "Each metric with the weights of the epoch at which it was best on validation.",
    "delta": "Weights of the epoch with the best Delta_m on validation; single-task models by each metric.",
}


def plan(context: Context, settings: TrainingProtocol) -> list[PlannedRun]:
    """List all optimisers, each with its regularisation. Raises RequestError for tasks that have no average."""
    return protocol.plan(axes.averaged(context), settings, REGULARISED)


def tabulate(found: StudyResults, settings: TrainingProtocol) -> list[StudyTable]:
    """Return the average over tasks with intervals, plain training against each optimiser, times, and the verdict."""
    lower = bool((found.results["sign"] < 0).all())
    beside = reported.AVERAGES.get(settings.workload)
    runs = outcomes.records(found.results)
    table = outcomes.table(runs, "Test average", protocol.UNITARY.name, lower, beside, SELECTED)
    return [table, times(found.context, settings), trials.unbeaten(found)]


def times(context: Context, settings: TrainingProtocol) -> StudyTable:
    """Return the cost of a step, beside the ratios that the paper reports."""
    return method_rows.times(context, method_rows.extra_rows(context, ROWS), reported.TIMES[settings.workload])


def metric_plan(context: Context, settings: TrainingProtocol) -> list[PlannedRun]:
    """List all optimisers and, for Delta_m, one model per task.

    These come first, because ``selection=delta`` compares with them.
    """
    single = protocol.alone(context, settings)
    together = protocol.plan(context, settings, REGULARISED)
    if context.problem.recipe(context.workload).selection == "delta":
        own = {p.labels["seed"]: tuple(s.name for s in single if s.labels["seed"] == p.labels["seed"]) for p in single}
        together = [dataclasses.replace(p, baselines_of=own[p.labels["seed"]]) for p in together]
    return [*single, *together]


def by_metric(found: StudyResults, settings: TrainingProtocol) -> list[StudyTable]:
    """Return one table per task and metric, Delta_m over the single-task models, and times."""
    focus = protocol.UNITARY.name
    note = NOTES.get(found.context.problem.recipe(found.context.workload).selection, SELECTED)
    measures = found.measures[found.measures["metric"] != "loss"]
    single = measures["row"] == "single"
    tables = []
    for (task, metric), own in measures.groupby(["task", "metric"], sort=False):
        title = f"Test split, {task} {metric}"
        lower = bool((own["sign"] < 0).all())
        tables.append(
            _titled(outcomes.table(outcomes.records(own), title, focus, lower, note=note), f"{task} {metric}")
        )
    gained = outcomes.gains(measures[~single], measures[single])
    if not gained.empty:
        more = "Percent; mean over metrics, each against the single-task model of the same seed. " + note
        tables.append(
            _titled(outcomes.table(outcomes.records(gained), "Delta_m, test split", focus, note=more), "Delta_m")
        )
    return [*tables, times(found.context, settings), trials.unbeaten_by_metric(measures[~single])]


def _titled(table: StudyTable, what: str) -> StudyTable:
    return dataclasses.replace(table, findings=tuple(f"{what}: {line}" for line in table.findings))


def _figure(number: int, title: str, settings: TrainingProtocol) -> Target:
    return Target(
        f"kurin2022/figure-{number}",
        title,
        (settings.workload,),
        lambda context: plan(context, settings),
        lambda found: tabulate(found, settings),
        (*protocol.STATED, *settings.stated),
    )


TARGETS = (
    _figure(1, "Optimisers on Multi-MNIST: test average and time", MULTI_MNIST),
    _figure(2, "Optimisers on CelebA: test average and time", CELEBA),
    Target(
        "kurin2022/figure-3",
        "Optimisers on Cityscapes: each metric, and time",
        (CITYSCAPES.workload,),
        lambda context: metric_plan(context, CITYSCAPES),
        lambda found: by_metric(found, CITYSCAPES),
        (*protocol.STATED, *CITYSCAPES.stated),
    ),
)
