"""Rows of comparisons: a method, its hyper-parameters and the level that it works at; and what its step costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from scalarize import methods
from scalarize.analysis.study_tables import StudyTable
from scalarize.balancer.balancer import Balancer
from scalarize.methods import Needs
from scalarize.runs.request import TrainRequest, WorkloadRequest, train_request
from scalarize.studies import axes
from scalarize.studies import step_cost as measured
from scalarize.studies.context import Context
from scalarize.utils.seeds import fork_rng

REPEATS = 10


@dataclass(frozen=True)
class Row:
    """name: in tables. level: of the gradients that the method looks at, where it looks at any."""

    name: str
    method: str
    hyper: Mapping[str, Any] = field(default_factory=dict)
    level: str = "parameters"

    def request(self, problem: WorkloadRequest, seed: int, settings: Mapping[str, Any], **more: Any) -> TrainRequest:
        """A training of ``problem`` with this row's method; a level that ``problem`` sets is that of all rows."""
        needs_gradients = methods.create(self.method, **self.hyper).needs > Needs.LOSSES
        level = {"level": self.level} if needs_gradients and "level" not in problem.settings else {}
        tuned = axes.with_settings(problem, {**level, **settings})
        return train_request(tuned, seed=seed, method=self.method, hyper=dict(self.hyper), **more)


def extra_rows(context: Context, known: Sequence[Row]) -> list[Row]:
    """``known`` and the methods asked for besides, at parameter level."""
    names = {row.name for row in known}
    return [*known, *(Row(methods.get(m).name, m) for m in context.methods if m not in names)]


def times(context: Context, rows: Sequence[Row], printed: Mapping[str, str]) -> StudyTable:
    """The time of one step of every row over that of plain training on the sum, beside what the paper prints.

    One batch of the recipe's size; the optimiser's step and the reading of data are left out on all sides (the paper
    times whole epochs), so that ratios here are rather larger.
    """
    recipe = context.problem.recipe(context.workload)
    data = context.data
    with fork_rng(0):
        model: Any = context.workload.build(recipe.model, data).to(context.problem.device)
    shared = list(model.shared_parameters())

    def candidate(row: Row) -> Callable[[], measured.Backward]:
        def make() -> measured.Backward:
            method = methods.create(row.method, **row.hyper)
            level: Any = row.level if method.needs > Needs.LOSSES else "parameters"
            balancer = Balancer(method, shared, level=level, tasks=data.names)
            return lambda losses, z: balancer.backward(losses, representation=z)

        return make

    forward = measured.forward_of(model, data, recipe.batch_size, context.problem.device)
    candidates = {row.name: candidate(row) for row in rows}
    repeats = context.budget.count(REPEATS, None)
    found = measured.measure(forward, model.parameters(), candidates, repeats, floor=False)
    frame = pd.DataFrame([row | {"paper": printed.get(row["method"])} for row in found])
    slowest = max(found, key=lambda row: row["to_bare"])
    said = f"Slowest step: {slowest['method']}, {slowest['to_bare']:.2f} times plain training"
    beside = f" (the paper: {printed[slowest['method']]})." if slowest["method"] in printed else "."
    note = f"Median and quartiles of {repeats} rounds, each row against plain training; {len(data.names)} tasks."
    return StudyTable("ratios", "Time of a step", frame, note, (said + beside,))
