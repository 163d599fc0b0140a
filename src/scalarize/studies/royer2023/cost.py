"""Cost of methods: figure 1b (memory, a small and a large setting) and supplement, table 1b (passes and storage).

Figure 1b is of ResNet-18 with batches of 16 and ResNet-50 with batches of 128, at 224 pixels; on other data than the
paper's, of the workload's smallest and largest model. The text does not name the figure's methods: they are those of
table 1. Nothing is trained: single steps of all methods are measured, interleaved, on a model and one batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from scalarize.analysis.study_tables import StudyTable
from scalarize.studies import axes
from scalarize.studies.fixed_batch import FixedBatch
from scalarize.studies.royer2023 import reported, stated
from scalarize.studies.study import Context, PlannedRun, StudyResults, Target
from scalarize.utils.seeds import fork_rng
from scalarize.workloads.sizes import Size

METHODS = ("uniform", "uncertainty", "imtl-l", "cagrad", "graddrop", "pcgrad")
SMALL_BATCH, LARGE_BATCH = 16, 128  # figure 1b
IN_THEORY = (*METHODS, "rotograd")  # table 1b has a line for it
FIGURE_1B = {
    "domainnet": tuple(Size(d, 1.0, {"model.depth": d, "model.width": 1.0}) for d in (18, 50)),
}
REPEATS = 10
UNIT = "time of a step over that of a bare loop"
TASKS = (2, 4, 8, 16, 40)  # as far as the workload has them, and all of its own


def no_runs(context: Context) -> list[PlannedRun]:
    """Return no runs: nothing is trained."""
    return []


def measure(
    context: Context, size: Size, batch: int, n_tasks: int | None = None, methods: Sequence[str] = METHODS
) -> list[dict[str, Any]]:
    """Return one row per method: seconds, ratio to a bare loop and megabytes of a step with the first ``n_tasks``
    tasks.
    """
    problem = axes.with_settings(context.problem, size.settings)
    data = context.data if n_tasks is None else context.data.restrict(context.data.names[:n_tasks])
    recipe = problem.recipe(context.workload).model_copy(update={"batch_size": batch})
    with fork_rng(0):
        model = context.workload.build(recipe.model, data).to(problem.device)
    names = [*dict.fromkeys([*methods, *context.methods])]
    repeats = context.budget.count(REPEATS, context.budget.levels)
    rows = FixedBatch(model, data, recipe, problem.device).measure(names, repeats)
    return [{"size": size.name, "batch": batch, "tasks": len(data.names), **row} for row in rows]


def memory(found: StudyResults) -> list[StudyTable]:
    """Return figure 1b: the small model with batches of 16, the large one with batches of 128."""
    context = found.context
    known = FIGURE_1B.get(context.workload.name, context.sizes)
    rows = measure(context, known[0], SMALL_BATCH) + measure(context, known[-1], LARGE_BATCH)
    note = "Rise of memory within a step, beyond the model; bare: a plain loop; floor: a backward a task."
    frame = pd.DataFrame(rows)
    return [StudyTable("memory", "Memory of a step", frame, note, _said(frame, "megabytes", "MB"))]


def _said(frame: pd.DataFrame, column: str, unit: str) -> tuple[str, ...]:
    """Say in a sentence what each method costs in the last setting measured."""
    last = frame[(frame["size"] == frame["size"].iloc[-1]) & (frame["tasks"] == frame["tasks"].iloc[-1])]
    where = f"{last['tasks'].iloc[0]} tasks, {last['size'].iloc[0]}, batches of {last['batch'].iloc[0]}"
    each = ", ".join(f"{m} {v:.3g}" for m, v in zip(last["method"], last[column], strict=True))
    return (f"{where}, {unit}: {each}.",)


def by_tasks(found: StudyResults) -> list[StudyTable]:
    """Return supplement, table 1b: measured ratios to a bare loop by number of tasks, beside the theoretical counts."""
    context = found.context
    own = len(context.data.names)
    wanted: Sequence[int] = sorted({t for t in TASKS if t < own} | {own})
    size, batch = context.sizes[-1], context.problem.recipe(context.workload).batch_size
    rows = [row for t in context.budget.thin(wanted) for row in measure(context, size, batch, t, IN_THEORY)]
    for row in rows:
        passes = reported.COSTS.get(row["method"])
        row |= dict(zip(("forward", "backward", "further", "storage"), passes or [None] * 4, strict=True))
    note = "Last columns: the paper's counts for T tasks. A search with N members costs N r + 1 trainings, r its split."
    searches = [
        dict(zip(("row", "forward", "backward", "further", "storage"), (name, *counts), strict=True))
        for name, counts in reported.COSTS.items()
    ]
    frame = pd.DataFrame(rows)
    theory = StudyTable("theory", "Theoretical costs as printed", pd.DataFrame(searches), "N: members; T: tasks.")
    return [StudyTable("cost", "Cost of a step by number of tasks", frame, note, _said(frame, "to_bare", UNIT)), theory]


TARGETS = (
    Target("royer2023/figure-1b", "Memory of methods, measured", ("domainnet",), no_runs, memory, (stated.MODELS,)),
    Target("royer2023/cost", "Supplement 1b: costs, measured beside theory", ("celeba",), no_runs, by_tasks),
)
