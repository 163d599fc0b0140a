"""Rows of comparisons: a method, its hyper-parameters, the level of its gradients, and the cost of its step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from scalarize import methods
from scalarize.analysis.study_tables import StudyTable
from scalarize.methods import Needs
from scalarize.runs.request import TrainRequest, WorkloadRequest, train_request
from scalarize.studies import axes
from scalarize.studies import step_cost as measured
from scalarize.studies.context import Context
from scalarize.studies.fixed_batch import FixedBatch
from scalarize.utils.seeds import fork_rng

REPEATS = 10


@dataclass(frozen=True)
class Row:
    """A row of a comparison. ``level`` is that of the gradients, if the method uses any."""

    name: str
    method: str
    hyper: Mapping[str, Any] = field(default_factory=dict)
    level: str = "parameters"

    def request(self, problem: WorkloadRequest, seed: int, settings: Mapping[str, Any], **more: Any) -> TrainRequest:
        """Return a training of ``problem`` with this row's method; a level set in ``problem`` is that of all rows."""
        needs_gradients = methods.create(self.method, **self.hyper).needs > Needs.LOSSES
        level = {"level": self.level} if needs_gradients and "level" not in problem.settings else {}
        tuned = axes.with_settings(problem, {**level, **settings})
        return train_request(tuned, seed=seed, method=self.method, hyper=dict(self.hyper), **more)


def extra_rows(context: Context, known: Sequence[Row]) -> list[Row]:
    """Return ``known`` and the methods that the request adds, at parameter level."""
    names = {row.name for row in known}
    return [*known, *(Row(methods.get(m).name, m) for m in context.methods if m not in names)]


def times(context: Context, rows: Sequence[Row], reported: Mapping[str, str]) -> StudyTable:
    """Return the time of one step of every row relative to plain training on the sum, beside the paper's ratios.

    A step is one batch of the recipe's size; the optimiser's step and the reading of data are left out on all sides
    (the paper times whole epochs), so ratios here are rather larger.
    """
    recipe = context.problem.recipe(context.workload)
    data = context.data
    with fork_rng(0):
        model: Any = context.workload.build(recipe.model, data).to(context.problem.device)
    batch = FixedBatch(model, data, recipe, context.problem.device)

    def candidate(row: Row) -> Callable[[], measured.Backward]:
        return lambda: batch.candidate(methods.create(row.method, **row.hyper), row.level)

    candidates = {row.name: candidate(row) for row in rows}
    repeats = context.budget.count(REPEATS, context.budget.epochs)  # at the smallest budget as few as its epochs
    found = measured.measure(batch.forward, model.parameters(), candidates, repeats, floor=False)
    frame = pd.DataFrame([row | {"paper": reported.get(row["method"])} for row in found])
    slowest = max(found, key=lambda row: row["to_bare"])
    said = f"Slowest step: {slowest['method']}, {slowest['to_bare']:.2f} times plain training"
    beside = f" (the paper: {reported[slowest['method']]})." if slowest["method"] in reported else "."
    note = f"Median and quartiles of {repeats} rounds, each row against plain training; {len(data.names)} tasks. "
    note += "Seconds of a CPU are CPU seconds."
    return StudyTable("ratios", "Time of a step", frame, note, (said + beside,))
