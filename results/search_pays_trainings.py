"""The trainings and searches of one cell of results/when_search_pays.py, in this process."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from search_pays_cases import BY_SIZE, CONSTANT, EVEN, SEARCHES, SINGLE, Cell
from search_pays_changes import counts

from scalarize.runs.build import Loader, PreparedRun, prepare
from scalarize.runs.held_out import HOLDOUT, held_out
from scalarize.runs.request import WorkloadRequest
from scalarize.search.entry import search
from scalarize.search.sampling import Spread
from scalarize.search.score import create
from scalarize.tasks.task import Data
from scalarize.utils.errors import DivergedError
from scalarize.weights.policy import Policy

POPULATION, DECISIONS, SHARE = 12, 11, 0.7
Judge = Callable[[dict[str, float]], float]


def weights_of(rule: str, data: Data) -> Policy:
    """Return the weights of a rule that needs no training."""
    if rule == CONSTANT:
        return Policy.constant({name: 1 / max(loss, 1e-12) for name, loss in data.constant_losses().items()})
    power = 0.0 if rule == EVEN else 1 / BY_SIZE[rule]
    return Policy.constant({name: n**power for name, n in counts(data).items()})


def judge_of(score: str, names: list[str]) -> Judge:
    """Return the score as a function of metrics by name, of which higher is better."""
    of = create(score, names)
    return lambda seen: float(of(np.array([[seen[name] for name in names]]))[0])


def trained(prepared: PreparedRun, policy: Policy, seed: int, judge: Judge) -> dict[str, Any]:
    """Train once; measure the test split after the epoch that validation prefers, and after the last."""
    learner, begun = prepared.learner(seed), time.process_time()
    best: tuple[float, dict[str, Any]] = (-np.inf, {})
    seen = -np.inf
    try:
        for epoch in range(1, prepared.recipe.epochs + 1):
            learner.train(policy, epoch)
            seen = judge(learner.evaluate("validation"))
            if seen > best[0] or not best[1]:
                best = seen, learner.state_dict()
    except DivergedError as error:
        return {"diverged": str(error), "trainings": 1.0, "seconds": time.process_time() - begun}
    last = {"validation": seen, "test": judge(learner.evaluate("test")), "epoch": learner.epoch}
    learner.load_state_dict(best[1])
    found = {"validation": best[0], "test": judge(learner.evaluate("test")), "epoch": learner.epoch}
    return {"best": found, "last": last, "trainings": 1.0, "seconds": time.process_time() - begun}


def searched(cell: Cell, prepared: PreparedRun, algorithm: str) -> tuple[Policy, dict[str, Any]]:
    """Search weights with members that train on a share of the training set; return the policy and what it cost."""
    begun = time.process_time()
    part, epochs = replace(prepared, data=held_out(prepared.data, SHARE)), prepared.recipe.epochs
    found = search(
        lambda seed, **_: part.learner(seed),
        epochs=epochs,
        algorithm=algorithm,
        population=POPULATION,
        ready=max(1, epochs // (DECISIONS + 1)),
        seed=cell.repetition,
        tasks=part.data.names,
        center=dict(zip(part.data.names, weights_of(CONSTANT, part.data).weights_at(0).tolist(), strict=True)),
        spread=Spread(width=cell.dose.width),
        score=cell.score,
        split=HOLDOUT,
        share=SHARE,
    )
    return found.policy, {"trainings": found.trainings, "seconds": time.process_time() - begun}


def measured(cell: Cell, loader: Loader) -> dict[str, Any]:
    """Train and search all that a cell asks for; equal cells give equal numbers."""
    settings = dict(cell.settings)
    epochs = settings.pop("epochs", None)
    given = prepare(WorkloadRequest(workload=cell.dose.workload, epochs=epochs, settings=settings), loader)
    data = cell.dose.change(given.data, cell.dose.place, cell.level, cell.repetition)
    prepared, seed = replace(given, data=data), 1000 + cell.repetition
    judge, rows = judge_of(cell.score, data.names), {}
    for rule in cell.dose.rules:
        if rule == SINGLE:
            alone = replace(prepared, data=data.restrict([cell.dose.place]))
            only = judge_of(cell.score, alone.data.names)
            rows[rule] = trained(alone, Policy.constant({cell.dose.place: 1}), seed, only)
        else:
            rows[rule] = trained(prepared, weights_of(rule, data), seed, judge)
    for name, algorithm in SEARCHES.items():
        policy, cost = searched(cell, prepared, algorithm)
        row = trained(prepared, policy, seed, judge)
        added = {key: row[key] + cost[key] for key in ("trainings", "seconds")}
        rows[name] = row | added | {"weights": policy.mean().weights_at(0).tolist(), "tasks": list(policy.tasks)}
    split = cell.repetition % cell.dose.splits
    ratio = test_ratio(data)
    return {"repetition": cell.repetition, "split": split, "ratio": ratio, "level": cell.level, "rows": rows}


def test_ratio(data: Data) -> float:
    """Return test samples per training sample."""
    sizes = {s: sum(len(d.splits[s]) for d in data.domains.values()) for s in ("train", "test")}
    return sizes["test"] / sizes["train"]
