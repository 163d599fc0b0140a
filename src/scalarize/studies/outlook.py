"""A look ahead at targets, before anything is run: trainings, hours, disk, and the data that are missing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from scalarize import workloads
from scalarize.runs.build import Loader, prepare
from scalarize.runs.planned_run import PlannedRun
from scalarize.runs.search import SearchRequest
from scalarize.studies import budget
from scalarize.studies.context import Context
from scalarize.studies.prices import FORWARD, Model, Prices, amount, disk, factor
from scalarize.studies.study import StudyRequest, Target, problems

MEASURING = 10.0  # seconds of measurements beyond one of each data set
SAMPLES = 20  # that a measurement goes through, at least


@dataclass
class _Priced:
    """A run of a plan: its model, and what it amounts to: steps, and samples in such of plain training."""

    planned: PlannedRun
    model: Model
    steps: float
    samples: float


@dataclass
class Part:
    """The plan of a target on one workload. missing: what of its data is not here. lost: why it cannot be planned."""

    target: Target
    workload: str
    missing: str | None
    runs: list[_Priced] = field(default_factory=list)
    lost: str | None = None


def outlook(targets: Sequence[Target], asked: StudyRequest, seconds: float = MEASURING) -> dict[str, Any]:
    """Plan targets at full size and price the plan. Nothing is run, and no data need be there.

    Args:
        targets: the tables and figures.
        asked: what is asked of each; its ``target`` is not looked at.
        seconds: for measurements of steps.

    Returns:
        ``targets``: a row each and workload, with ``trainings``, ``searches``, ``members`` (trainings within searches),
        ``hours`` (None if unknown), ``bytes`` left on disk, ``missing``; ``total`` of all, in which a run that several
        targets share counts once; ``models``: seconds of a step, those a sample besides, and if they were measured;
        ``device``.

    Raises:
        RequestError: the request is wrong.
    """
    prices = Prices(asked.device)
    parts = [_plan(target, name, asked, prices) for target in targets for name in _names(target, asked)]
    every = {_key(part, priced): priced for part in parts for priced in part.runs}
    weight: dict[int, float] = {}
    for priced in every.values():
        weight[id(priced.model)] = weight.get(id(priced.model), 0.0) + priced.samples * priced.model.flops
    until = time.monotonic() + seconds
    smallest: dict[str, Model] = {}
    for model in sorted(prices.models.values(), key=lambda m: m.flops):
        smallest.setdefault(model.workload.name, model)
    for model in smallest.values():  # so that something is known of each data set
        prices.measure(model)
    for model in sorted(prices.models.values(), key=lambda m: -weight.get(id(m), 0.0)):
        step, sample = prices.of(model) or (0.0, 0.0)
        if time.monotonic() + SAMPLES * sample + step < until:  # as far as can be told before
            prices.measure(model)
    return {
        "targets": [_row(part, part.runs, prices) for part in parts],
        "total": _sums(list(every.values()), prices) | {"missing": sorted({p.missing for p in parts if p.missing})},
        "models": [_model(m, prices) for m in prices.models.values()],
        "device": asked.device,
    }


def _names(target: Target, asked: StudyRequest) -> Sequence[str]:
    return [asked.workload] if asked.workload else target.workloads


def _key(part: Part, priced: _Priced) -> str:
    planned = priced.planned
    return repr([part.workload, planned.directory or planned.name, planned.request.model_dump_json()])


def _plan(target: Target, name: str, asked: StudyRequest, prices: Prices) -> Part:
    workload, root = workloads.get(name), workloads.data_root(asked.data)
    part = Part(target, name, workload.absent(root))
    whole, problem = problems(name, asked)
    if workload.shape is not None:
        data = workload.shape(whole.recipe(workload).data)
    elif part.missing is None:
        data = prepare(whole.model_copy(update={"tasks": ()}), Loader()).data
    else:
        part.lost = "its data are not here, and their shape is not known"
        return part
    shown = data.restrict(list(asked.tasks)) if asked.tasks else data
    context = Context(problem, workload, shown, budget.parse(asked.budget), asked.seeds, asked.methods)
    for planned in target.plan(context):
        model = prices.look(workload, data, planned.request)
        found, times = amount(data, workload, planned.request), factor(planned.request, model)
        samples = found.trained * times + found.measured * FORWARD
        part.runs.append(_Priced(planned, model, found.steps * times, samples))
    return part


def _row(part: Part, runs: Sequence[_Priced], prices: Prices) -> dict[str, Any]:
    about = {"target": part.target.name, "title": part.target.title, "workload": part.workload}
    return about | _sums(runs, prices) | {"missing": part.missing, "lost": part.lost}


def _sums(runs: Sequence[_Priced], prices: Prices) -> dict[str, Any]:
    trainings = [p for p in runs if not isinstance(p.planned.request, SearchRequest)]
    found = [prices.of(p.model) for p in runs]
    seconds = [None if f is None else p.steps * f[0] + p.samples * f[1] for p, f in zip(runs, found, strict=True)]
    known = [s for s in seconds if s is not None]
    members = [p.planned.request.population for p in runs if isinstance(p.planned.request, SearchRequest)]
    return {
        "trainings": len(trainings),
        "searches": len(members),
        "members": sum(members),
        "hours": sum(known) / 3600 if len(known) == len(runs) else None,
        "bytes": sum(disk(p.model) for p in trainings),
    }


def _model(model: Model, prices: Prices) -> dict[str, Any]:
    found = prices.of(model)
    about = {"workload": model.workload.name, "settings": dict(model.recipe.model), "parameters": model.parameters}
    seconds = dict(zip(("seconds_a_step", "seconds_a_sample"), found or (None, None), strict=True))
    return about | seconds | {"measured": model.sample is not None}


def lines(found: dict[str, Any]) -> list[str]:
    """Return an outlook as text for people."""
    unit = "CPU-hours" if found["device"] == "cpu" else "GPU-hours"
    body = [["target", "data", "trainings", "searches", unit, "disk"]]
    for row in found["targets"]:
        own = [row["target"], row["workload"]]
        body.append(own + (["-"] * 4 if row["lost"] else _cells(row)))
    body.append(["all", "", *_cells(found["total"])])
    widths = [max(len(row[k]) for row in body) for k in range(len(body[0]))]
    text = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in body]
    text += ["", "Runs that several targets share count once in the last line; searches with all their members."]
    measured = sum(m["measured"] for m in found["models"])
    text.append(
        f"Hours of one {'core' if found['device'] == 'cpu' else 'device'} from a step of {measured} of "
        f"{len(found['models'])} models, measured on random samples of the data's shape; others by their operations."
    )
    if any(w.learner is not None for w in map(workloads.get, {r["workload"] for r in found["targets"]})):
        text.append("Of reinforcement learning the updates alone: a simulator's steps come on top.")
    missing = found["total"]["missing"]
    text += ["", *(f"missing: {line}" for line in missing)] if missing else ["All data are here."]
    return text


def _cells(row: dict[str, Any]) -> list[str]:
    searches = f"{row['searches']} of {row['members']} members" if row["searches"] else "0"
    return [f"{row['trainings']:,}", searches, _hours(row["hours"]), _size(row["bytes"])]


def _hours(hours: float | None) -> str:
    if hours is None:
        return "unknown"
    return f"{hours:,.0f}" if hours >= 100 else f"{hours:.2g}"


def _size(count: int) -> str:
    for size, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB")):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count / 1e3:.0f} kB"
