"""A study: a frozen list of runs. Missing ones are run, present ones are read, and one set of tables is made of all."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from scalarize import workloads
from scalarize.analysis import statistics
from scalarize.analysis.study_tables import StudyTable, write
from scalarize.runs.build import Loader, prepare
from scalarize.runs.directory import claim
from scalarize.runs.plan import PlannedRun, Say, Workers, execute
from scalarize.runs.request import WorkloadRequest
from scalarize.runs.search import SearchRequest
from scalarize.studies import asked_settings, budget
from scalarize.studies.context import Context
from scalarize.studies.gather import StudyResults, gather, seconds
from scalarize.utils import files
from scalarize.utils.errors import RequestError, RunError
from scalarize.utils.holding import held
from scalarize.utils.manifest import Manifest

__all__ = ["Context", "PlannedRun", "StudyRequest", "StudyResults", "Target", "run", "summary"]

FEWEST_SEEDS = 3  # below this a study is an illustration


class StudyRequest(BaseModel):
    """A request for a target.

    Args:
        workload: workload instead of the paper's.
        tasks: names of the tasks to keep; None: all.
        seeds: number of seeds instead of the budget's.
        epochs: epochs instead of the recipe's.
        settings: settings instead of the recipe's.
        methods: further rows of tables of methods.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    target: str
    workload: str | None = None
    tasks: tuple[str, ...] | None = None
    budget: str = "full"
    seeds: int | None = Field(default=None, ge=1)
    epochs: int | None = Field(default=None, ge=1)
    settings: dict[str, Any] = Field(default_factory=dict)
    methods: tuple[str, ...] = ()
    data: str | None = None
    device: str = "cpu"


@dataclass(frozen=True)
class Target:
    """A table or figure.

    ``workloads``: the paper's; ``plan``: its runs on one workload; ``tabulate``: its tables. ``stated``: sentences on
    the page about what differs from the paper, whatever the workload and size.
    """

    name: str
    title: str
    workloads: tuple[str, ...]
    plan: Callable[[Context], list[PlannedRun]]
    tabulate: Callable[[StudyResults], list[StudyTable]]
    stated: tuple[str, ...] = ()


def problems(name: str, request: StudyRequest) -> tuple[WorkloadRequest, WorkloadRequest]:
    """Return the problem of a workload at its own length, and at that of the budget asked for."""
    whole = WorkloadRequest(
        workload=name,
        tasks=request.tasks or (),
        settings=dict(request.settings),
        data=request.data,
        device=request.device,
    )
    own, size = whole.recipe(workloads.get(name)).epochs, budget.parse(request.budget)
    epochs = request.epochs or size.count(own, size.epochs)
    return whole, whole.model_copy(update={"epochs": epochs}) if epochs != own else whole


def contexts(target: Target, request: StudyRequest, loader: Loader | None = None) -> list[tuple[Context, Context]]:
    """The contexts of a study's plans, at full budget and at the budget asked for.

    Args:
        target: the table or figure.
        request: what is asked of it.
        loader: of the command, which reads the data; default a new one.

    Returns:
        A pair for each workload.

    Raises:
        RequestError: the request is wrong, or data are missing.
    """
    size, loader = budget.parse(request.budget), loader or Loader()
    found = []
    for name in [request.workload] if request.workload else target.workloads:
        workload = workloads.get(name)
        missing = workload.missing(workloads.data_root(request.data))
        if missing:
            raise RequestError(f"{target.name}: the data of {name} are not here: {missing}")
        whole, problem = problems(name, request)
        prepared = prepare(whole, loader)
        found.append(
            (
                Context(whole, workload, prepared.data, budget.BUDGETS["full"], None, request.methods),
                Context(problem, workload, prepared.data, size, request.seeds, request.methods),
            )
        )
    return found


def run(
    target: Target,
    request: StudyRequest,
    out: Path,
    command: str,
    resume: bool,
    say: Say | None = None,
    workers: Workers | None = None,
) -> dict[str, Any]:
    """Run what is missing of ``target`` and write its tables to ``out``/TARGET.

    Args:
        target: the table or figure.
        request: what is asked of it.
        out: a directory; runs lie in ``out``/runs, shared by all targets.
        command: how the study is run again, for each ``config.yaml``.
        resume: go on with what ``out``/TARGET holds.
        say: receives lines of progress.
        workers: that train side by side; default: this process.

    Returns:
        The content of ``result.json``: tables, findings, what was scaled, counts and seconds.

    Raises:
        RequestError: the request is wrong, or ``out`` holds something else.
        RunError: a run failed, or every training diverged.
    """
    loader = Loader()
    prepared = contexts(target, request, loader)
    place = out / target.name.rpartition("/")[2]
    started = time.perf_counter()
    plans = [(full, here, target.plan(here)) for full, here in prepared]
    for _, here, plan in plans:
        asked_settings.check(target.name, here, plan, target.plan)
    with files.lock(out), held(place):
        claim(place, "study", request.model_dump(mode="json"), resume, command)
        result: dict[str, Any] = {"out": str(place), "target": target.name, "title": target.title}
        result |= {"tables": [], "findings": [], "scaled": [], "runs": 0, "seconds_runs": 0.0}
        fewest = 10**9
        for full, here, plan in plans:
            name = here.workload.name
            lines = _scaled(target, full, here, plan)
            result["scaled"] += [f"{name}: {line}" for line in lines]
            if say:
                for line in lines:
                    say(f"{target.name}, {name}, budget {request.budget}: {line}")
            tell = functools.partial(_tell, say, name) if say else None
            place_of_runs = out / "runs" / name
            finished = execute(plan, place_of_runs, command, tell, loader, keep_diverged=True, workers=workers)
            found = gather(here, list(finished.values()))
            if found.results.empty and found.diverged:
                raise RunError(f"{target.name}, {name}: every training diverged; {found.diverged[0]}")
            tables = target.tabulate(found)
            result["tables"] += [write(t, place, name) for t in tables]
            result["findings"] += [f"{name}: {line}" for t in tables for line in t.findings]
            result["findings"] += [f"{name}: {line}" for line in [*found.diverged, *detectable(found.results)]]
            result["runs"] += len(plan)
            result["seconds_runs"] += seconds(found)
            fewest = min(fewest, len({p.labels.get("seed", 0) for p in plan}) if plan else fewest)
        result["illustration"] = fewest < FEWEST_SEEDS
        if result["illustration"]:
            result["findings"].append(
                f"An illustration: {fewest} seed(s), and {FEWEST_SEEDS} are the least to judge by."
            )
        result["seconds"] = time.perf_counter() - started
        Manifest(place).write_json("result.json", result)
    return result


def _tell(say: Say, workload: str, line: str) -> None:
    say(f"{workload}: {line}")


def detectable(results: pd.DataFrame) -> list[str]:
    """Say in a sentence which difference between two settings these seeds would find 4 times in 5."""
    if results.empty or "seed" not in results or results["sign"].nunique() > 1:
        return []
    averages = results.groupby(["run", "seed"])["test"].mean().reset_index()
    # A setting is a run's name without its seed: names end with it.
    averages["setting"] = averages["run"].str.replace(r" seed \d+$", "", regex=True)
    spread = averages.groupby("setting")["test"].agg(["var", "count"]).dropna()
    if spread.empty:
        return ["One seed a setting: no difference can be tested."]
    deviation = math.sqrt(float(spread["var"].mean()))
    n = int(spread["count"].min())
    least = statistics.minimum_detectable_difference(deviation, n)
    return [
        f"Minimum detectable difference between two settings: {least:.4g} of the average test metric "
        f"({n} seeds a side, deviation between seeds {deviation:.2g}, power 80 %)."
    ]


def _scaled(target: Target, full: Context, here: Context, plan: Sequence[PlannedRun]) -> list[str]:
    """List what was scaled down, and what else differs from the paper: data, and settings of the request."""
    lines = budget.scaled([_sizes(full, p) for p in target.plan(full)], [_sizes(here, p) for p in plan])
    if here.workload.name not in target.workloads:
        lines.append(f"data: {', '.join(target.workloads)} -> {here.workload.name}")
    return [*lines, *asked_settings.lines(here.problem.settings, plan), *target.stated]


def _sizes(context: Context, planned: PlannedRun) -> dict[str, Any]:
    """Return the labels of a run that can be scaled, with the sizes that its request states."""
    labels = {k: v for k, v in planned.labels.items() if k not in ("size", "first", "second", "group")}
    request = planned.request
    labels["epochs"] = request.recipe(context.workload).epochs
    if isinstance(request, SearchRequest):
        labels["population"] = request.population
    return labels


def summary(result: Mapping[str, Any]) -> list[str]:
    """Return a target's result as text for people."""
    lines = [f"{result['target']}: {result['title']} ({result['runs']} runs)"]
    lines += [f"  scaled: {line}" for line in result["scaled"]]
    lines += [f"  {line}" for line in result["findings"]]
    return [*lines, f"  written to {result['out']}" + (f", report {result['report']}" if "report" in result else "")]
