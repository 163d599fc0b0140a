"""Gathering a plan's finished runs into frames, from which studies make their tables."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from scalarize.runs.plan import FinishedRun, PlannedRun
from scalarize.runs.request import TrainRequest
from scalarize.studies.context import Context
from scalarize.utils import files
from scalarize.utils.seeds import fork_rng
from scalarize.weights.policy import Policy


@dataclass(frozen=True)
class StudyResults:
    """Results of a plan's runs on one workload.

    results: one row per training and task (labels, run, task, sign, test, validation, train, parameters, seconds,
    epoch); sign is -1 if lower is better. A training that gives another its score has no row: its metrics are that
    one's ``validation``. measures: the same for every metric of a task and its loss (metric, sign,
    test, validation, train, epoch). curves: tidy records of trainings with a probe or whose records are kept, with
    labels. searches: a row a search (labels, result). policies: by search. answers: every training's result by the
    run's name, for one that diverged in its first epoch only ``diverged``, which names the epoch.
    """

    context: Context
    results: pd.DataFrame
    measures: pd.DataFrame
    curves: pd.DataFrame
    searches: pd.DataFrame
    policies: Mapping[str, Policy]
    answers: Mapping[str, Any] = field(default_factory=dict)

    @property
    def diverged(self) -> list[str]:
        """Return one sentence per run that diverged."""
        lost = {name: answer["diverged"] for name, answer in self.answers.items() if "diverged" in answer}
        return [f"{name} diverged ({where})." for name, where in lost.items()]


def gather(context: Context, finished: Sequence[FinishedRun]) -> StudyResults:
    """Read what ``finished`` left behind.

    Args:
        context: of the plan.
        finished: its runs; frames have their rows in the order searches, trainings, trainings with baselines.

    Returns:
        Their results as frames.
    """
    results: list[dict[str, Any]] = []
    measures: list[dict[str, Any]] = []
    curves: list[dict[str, Any]] = []
    searches: list[dict[str, Any]] = []
    policies: dict[str, Policy] = {}
    answers: dict[str, Any] = {}
    sizes: dict[str, int] = {}
    scores = {run.planned.score_of: run.result for run in finished if run.planned.score_of}
    for run in sorted(finished, key=lambda run: _turn(run.planned)):
        planned, request = run.planned, run.request
        labels = {**planned.labels, "run": planned.name}
        if not isinstance(request, TrainRequest):
            policies[planned.name] = run.policy
            searches.append({**labels, "result": run.result})
            continue
        answers[planned.name] = run.result
        if "test" not in run.result or planned.score_of:
            continue  # it diverged before there was anything to measure, or another's score is all that it has
        if planned.name in scores:
            run = _scored(context, run, scores[planned.name])
        results += _task_rows(context, run, labels, parameters(context, request, sizes))
        measures += _metric_rows(context, run, labels)
        if planned.keep_records or request.probe_every is not None:
            keep = _is_curve if planned.keep_records else _is_probed
            # A label of the name of a column (the trade-offs have a "value") does not hide what was recorded.
            seen = files.read_lines(run.directory / "records.jsonl")
            curves += [{**planned.labels, **row, "run": planned.name} for row in seen if keep(row)]
    tables, metrics, recorded, searched = map(pd.DataFrame, (results, measures, curves, searches))
    return StudyResults(context, tables, metrics, recorded, searched, policies, answers)


def _scored(context: Context, run: FinishedRun, by: Mapping[str, Any]) -> FinishedRun:
    """Return ``run`` with the validation metrics of the training that scores it; the worst if that diverged at once."""
    if "test" in by:
        seen, measures = by["validation"], by["measures"]["validation"]
    else:
        tasks = _measured(context, run.result)
        seen, measures = {n: -math.inf if t.higher_is_better else math.inf for n, t in tasks.items()}, {}
    content = {"validation": seen, "measures": {**run.result["measures"], "validation": measures}}
    return dataclasses.replace(run, result={**run.result, **content})


def _turn(planned: PlannedRun) -> int:
    return 0 if planned.kind == "search" else 2 if planned.baselines_of else 1


SPLITS = ("test", "validation", "train")


def _task_rows(context: Context, run: FinishedRun, labels: Mapping[str, Any], size: int) -> list[dict[str, Any]]:
    answer, rows = run.result, []
    more = {"parameters": size, "seconds": answer["seconds"], "epoch": answer["epoch"]}
    for name, task in _measured(context, answer).items():
        values = {s: answer.get(s, {}).get(name, math.nan) for s in SPLITS}
        rows.append({**labels, "task": name, "sign": 1 if task.higher_is_better else -1, **values, **more})
    return rows


def _metric_rows(context: Context, run: FinishedRun, labels: Mapping[str, Any]) -> list[dict[str, Any]]:
    answer, rows = run.result, []
    for name, task in _measured(context, answer).items():
        for metric, higher in {**task.measures, "loss": False}.items():
            found = {s: answer.get("measures", {}).get(s, {}).get(name, {}).get(metric) for s in SPLITS}
            values = {s: math.nan if v is None else v for s, v in found.items()}
            row = {**labels, "task": name, "metric": metric, "sign": 1 if higher else -1, **values}
            rows.append(row | {"epoch": answer.get("epochs", {}).get(f"{name}/{metric}", answer["epoch"])})
    return rows


def _measured(context: Context, answer: Mapping[str, Any]) -> dict[str, Any]:
    """Each objective that a training measured, with its task."""
    tasks = {o.name: o.task for o in context.data.objectives}
    return {name: tasks[name] for name in answer["test"] or answer["validation"] if name != "average"}


def seconds(found: StudyResults) -> float:
    """Wall time of all trainings and searches, those that were read included."""
    trained = sum(float(answer.get("seconds", 0.0)) for answer in found.answers.values())
    return trained + sum(float(r["seconds_training"]) for r in found.searches.get("result", []))


def parameters(context: Context, request: TrainRequest, known: dict[str, int]) -> int:
    """The number of parameters of the model that is trained; ``known`` remembers equal models."""
    recipe = request.recipe(context.workload)
    names = (request.single,) if request.single else request.tasks
    key = repr((sorted(recipe.model.items()), names))
    if key not in known:
        data = context.data.restrict(names) if names else context.data
        with fork_rng(0):
            model = context.workload.build(recipe.model, data)
        known[key] = sum(p.numel() for p in model.parameters())
    return known[key]


def _is_probed(row: Mapping[str, Any]) -> bool:
    metric, split = str(row["metric"]), row["split"]
    return metric.startswith("conflict") or split == "validation" or (split == "train" and metric == "loss")


def _is_curve(row: Mapping[str, Any]) -> bool:
    return bool(row["split"] != "test")
