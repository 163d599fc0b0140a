"""Running a plan: missing runs are run, present ones are read, and what they left becomes frames."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import BaseModel

from scalarize.runs import directory as run_directory
from scalarize.runs import search as searching
from scalarize.runs import train as training
from scalarize.runs.plan import Say
from scalarize.runs.request import TrainRequest, WorkloadRequest
from scalarize.runs.search import SearchRequest
from scalarize.studies.budget import Budget
from scalarize.tasks.task import Data
from scalarize.utils import files
from scalarize.utils.errors import DivergedError, RunError
from scalarize.utils.seeds import fork_rng
from scalarize.weights.policy import Policy
from scalarize.workloads import Workload
from scalarize.workloads.sizes import Size


@dataclass(frozen=True)
class Context:
    """What a plan may depend on: the problem at the study's budget, its workload and data, and the budget."""

    problem: WorkloadRequest
    workload: Workload
    data: Data
    budget: Budget
    seeds: int | None = None
    methods: tuple[str, ...] = ()

    @property
    def epochs(self) -> int:
        """Length of a training."""
        return self.problem.recipe(self.workload).epochs

    @property
    def sizes(self) -> tuple[Size, ...]:
        """The model's sizes that agree with the settings asked for; where none does, the one asked for."""
        asked = self.problem.settings
        known = self.workload.sizes
        fitting = tuple(s for s in known if all(asked.get(k, v) == v for k, v in s.settings.items()))
        return fitting or (Size("as set", 1.0),)

    def seeds_of(self, paper: int) -> list[int]:
        """0, 1, ... : as many as asked for, else as the paper's number at this budget."""
        return list(range(self.seeds or self.budget.count(paper, self.budget.seeds)))


@dataclass(frozen=True)
class Planned:
    """One run. name: what it is called; labels: its columns in the tables.

    policy_of: the search in the same plan whose policy it replays. baselines_of: the single-task runs in the same
    plan whose validation metrics are its baselines. course: its records are read, too.
    """

    name: str
    request: TrainRequest | SearchRequest
    labels: Mapping[str, Any] = field(default_factory=dict)
    policy_of: str | None = None
    baselines_of: tuple[str, ...] = ()
    course: bool = False


@dataclass(frozen=True)
class StudyResults:
    """What the runs of one workload left.

    results: a row a training and task (labels, run, task, sign, test, validation, train, parameters, seconds, epoch);
    sign is -1 where lower is better. measures: the same for every metric of a task and its loss (metric, sign, test,
    validation, train, epoch). courses: tidy records of trainings with a probe or a course, with labels. searches: a
    row a search (labels, result). policies: by search. answers: every training's result by the run's name, for one
    that diverged in its first epoch only ``diverged``, which says where.
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
        """A sentence a run that diverged."""
        lost = {name: answer["diverged"] for name, answer in self.answers.items() if "diverged" in answer}
        return [f"{name} diverged ({where})." for name, where in lost.items()]


@dataclass
class _Gathered:
    """Rows as they come."""

    results: list[dict[str, Any]] = field(default_factory=list)
    measures: list[dict[str, Any]] = field(default_factory=list)
    curves: list[dict[str, Any]] = field(default_factory=list)
    searches: list[dict[str, Any]] = field(default_factory=list)
    policies: dict[str, Policy] = field(default_factory=dict)
    answers: dict[str, Any] = field(default_factory=dict)


def execute(
    context: Context, plan: Sequence[Planned], root: Path, command: str, say: Say | None = None
) -> StudyResults:
    """Run or read all of ``plan`` below ``root``; what others read, searches and single-task runs, comes first."""
    names = [p.name for p in plan]
    if len(set(names)) != len(names):
        raise ValueError(f"two runs of a plan are called {next(n for n in names if names.count(n) > 1)}")
    got = _Gathered()
    known: dict[str, int] = {}
    for number, planned in enumerate(sorted(plan, key=_turn), start=1):
        if say:
            say(f"{number}/{len(plan)} {context.workload.name}: {planned.name}")
        request = planned.request
        where = root / directory(planned.name, _complete(planned, got))
        if isinstance(request, SearchRequest):
            answer = searching.search(request, where, command, resume=True)
            got.policies[planned.name] = Policy.load(where / "policy.json")
            got.searches.append({**planned.labels, "run": planned.name, "result": answer})
            continue
        asked = _complete(planned, got)
        assert isinstance(asked, TrainRequest)
        try:
            answer = training.train(asked, where, command, resume=True)
        except DivergedError as error:  # before its first epoch was over: there is nothing to measure
            got.answers[planned.name] = {"diverged": f"epoch 0: {error}"}
            continue
        got.answers[planned.name] = answer
        _gather(context, planned, answer, parameters(context, asked, known), got)
        if planned.course or request.probe_every is not None:
            seen = files.read_lines(where / "records.jsonl")
            keep = _is_course if planned.course else _is_probed
            # A label of the name of a column (the trade-offs have a "value") does not hide what was recorded.
            got.curves += [{**planned.labels, **r, "run": planned.name} for r in seen if keep(r)]
    results, measures, courses, searched = map(pd.DataFrame, (got.results, got.measures, got.curves, got.searches))
    return StudyResults(context, results, measures, courses, searched, got.policies, got.answers)


def _turn(planned: Planned) -> int:
    return 0 if isinstance(planned.request, SearchRequest) else 2 if planned.baselines_of else 1


def _complete(planned: Planned, got: _Gathered) -> TrainRequest | SearchRequest:
    """The request with what other runs of the plan give it: a policy, or baselines from their validation metrics."""
    request = planned.request
    if planned.policy_of is not None:
        request = request.model_copy(update={"policy": got.policies[planned.policy_of].to_dict(), "method": None})
    if planned.baselines_of:
        baselines: dict[str, float] = {}
        for name in planned.baselines_of:
            if "diverged" in got.answers[name]:
                raise RunError(f"{planned.name}: {name}, which it is compared with, diverged: it has no baseline")
            for task, values in got.answers[name]["measures"]["validation"].items():
                baselines |= {f"{task}/{metric}": v for metric, v in values.items() if metric != "loss"}
        request = request.model_copy(update={"baselines": baselines})
    return request


def _gather(context: Context, planned: Planned, answer: Mapping[str, Any], size: int, got: _Gathered) -> None:
    tasks = {o.name: o.task for o in context.data.objectives}
    labels = {**planned.labels, "run": planned.name}
    more = {"parameters": size, "seconds": answer["seconds"], "epoch": answer["epoch"]}
    splits = ("test", "validation", "train")
    for name in (t for t in answer["test"] or answer["validation"] if t != "average"):
        values = {s: answer.get(s, {}).get(name, math.nan) for s in splits}
        got.results.append(
            {**labels, "task": name, "sign": 1 if tasks[name].higher_is_better else -1, **values, **more}
        )
        for metric, higher in {**tasks[name].measures, "loss": False}.items():
            found = {s: answer.get("measures", {}).get(s, {}).get(name, {}).get(metric) for s in splits}
            values = {s: math.nan if v is None else v for s, v in found.items()}
            row = {**labels, "task": name, "metric": metric, "sign": 1 if higher else -1, **values}
            got.measures.append(row | {"epoch": answer.get("epochs", {}).get(f"{name}/{metric}", answer["epoch"])})


def seconds(found: StudyResults) -> float:
    """Wall time of all trainings and searches, those that were read included."""
    trained = 0.0 if found.results.empty else float(found.results.drop_duplicates("run")["seconds"].sum())
    return trained + sum(float(r["seconds_training"]) for r in found.searches.get("result", []))


def directory(name: str, request: BaseModel) -> str:
    """Where a run lies: its name and what names its request, so that targets and budgets can share one folder."""
    return f"{name.replace(' ', '-')}-{run_directory.digest(request.model_dump(mode='json'))}"


def parameters(context: Context, request: TrainRequest, known: dict[str, int]) -> int:
    """How many numbers the model has that is trained; ``known`` remembers equal models."""
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
    metric = str(row["metric"])
    return metric.startswith("conflict") or (row["split"] == "train" and metric == "loss")


def _is_course(row: Mapping[str, Any]) -> bool:
    return bool(row["split"] != "test")
