"""``cost``: seconds and memory a step of every method."""

from __future__ import annotations

from typing import Any

import click

from scalarize.cli import emit
from scalarize.cli.options import json_option, problem_options, seed_option, take_problem
from scalarize.cli.table_options import words
from scalarize.utils.errors import RequestError


@click.command()
@problem_options
@click.option("--methods", metavar="A,B", help="Only these (default: every method).")
@click.option("--repeats", default=10, show_default=True, type=int, help="Interleaved rounds.")
@seed_option
@json_option
def cost(methods: str | None, repeats: int, seed: int, as_json: bool, **options: Any) -> None:
    """Seconds and memory a step of every method, beside a bare loop. Seconds of a CPU are CPU seconds."""
    from scalarize.analysis import text_tables
    from scalarize.runs.build import Loader, prepare
    from scalarize.runs.compare import all_methods
    from scalarize.runs.request import WorkloadRequest
    from scalarize.studies.fixed_batch import FixedBatch
    from scalarize.utils.errors import unknown_name_error

    if repeats < 1:
        raise RequestError(f"--repeats must be at least 1, got {repeats}")
    problem, loader = WorkloadRequest(**take_problem(options)), Loader()
    workload = loader.workload(problem)
    if workload.learner is not None:
        raise RequestError(f"{problem.label}: its steps are no plain forward pass; a run's result.json holds its times")
    able = all_methods(workload.kind, hard="sharing" not in problem.recipe(workload).model)
    names = list(words(methods)) or able
    for name in names:
        if name not in able:
            raise unknown_name_error("method", name, able, where=" for this workload")
    learner = prepare(problem, loader).learner(seed)
    size = learner.recipe.batch_size
    rows = FixedBatch(learner.model, learner.data, learner.recipe, problem.device).measure(names, repeats)
    body = [
        [
            r["method"],
            f"{1e3 * r['seconds']:.2f}",
            f"{r['to_bare']:.2f}",
            f"{r['to_floor']:.2f}",
            _number(r["megabytes"]),
        ]
        for r in rows
    ]
    text = text_tables.render(["method", "ms a step", "to bare", "to floor", "MB"], body)
    emit({"workload": options.get("workload"), "batch_size": size, "rows": rows}, as_json, text)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
