"""``compare``, ``demo``, ``report``: tables and pages."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from scalarize.cli import command_line, emit, show, unread
from scalarize.cli.announcing import announce
from scalarize.cli.options import (
    begin_workers,
    json_option,
    log_option,
    logged,
    out_options,
    problem_options,
    score_options,
    seed_option,
    take_problem,
    take_score,
    take_workers,
    worker_options,
)
from scalarize.cli.table_options import words
from scalarize.utils import limits
from scalarize.utils.errors import RequestError


@click.command()
@problem_options
@click.option("--methods", metavar="A,B", help="Rows of the table; `all` is every method.")
@click.option("--sharing", metavar="A,B", help="Architectures; every row with each: hard,mmoe,ple.")
@click.option("--policy", "policies", multiple=True, metavar="FILE", help="A search's policy; may be repeated.")
@click.option("--seeds", default=3, show_default=True, type=int, help="Seeds a row.")
@click.option("--splits", default=1, show_default=True, type=int, help="Random splits of a table.")
@click.option("--baselines/--no-baselines", default=None, help="Rows of simple models (default: of tables).")
@click.option("--learning-rates", metavar="X,Y,Z", help="Tried for every row, chosen on validation.")
@click.option("--searches", default=3, show_default=True, type=int, help="Repeats of the row random-search.")
@click.option("--population", default=12, show_default=True, type=int, help="Trainings of each such search.")
@score_options
@seed_option
@worker_options
@log_option
@out_options
def compare(
    methods: str | None,
    sharing: str | None,
    policies: tuple[str, ...],
    seeds: int,
    splits: int,
    baselines: bool | None,
    learning_rates: str | None,
    searches: int,
    population: int,
    seed: int,
    logs: tuple[str, ...],
    out: str | None,
    resume: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Compare methods and policies over seeds, in one table with 95 % intervals."""
    from scalarize.runs import effects
    from scalarize.runs.build import Loader
    from scalarize.runs.compare import CompareRequest, all_methods, public, summary
    from scalarize.runs.compare import compare as run
    from scalarize.runs.comparison_values import check_sharing, problems
    from scalarize.runs.directory import digest
    from scalarize.runs.request import WorkloadRequest
    from scalarize.weights.policy import Policy

    most = {"--seeds": limits.SEEDS, "--splits": 100, "--searches": limits.SEEDS, "--population": limits.POPULATION}
    for (name, limit), value in zip(most.items(), (seeds, splits, searches, population), strict=True):
        limits.check(name, value, limit)
    workers = take_workers(options)
    problem, loader = WorkloadRequest(**take_problem(options)), Loader()
    shares = words(sharing)
    if sharing is not None and not shares:
        raise RequestError("--sharing: name architectures, as in hard,mmoe,ple")
    check_sharing(shares, problem.settings)
    made = problems(problem, shares)
    for one in made:
        effects.check_request(one, loader)
    workload = loader.workload(problem)
    hard = not any("sharing" in one.recipe(workload).model for one in made)
    every = all_methods(workload.kind, hard)
    rows = [n for w in words(methods) for n in (every if w == "all" else [w])]
    try:
        rates = tuple(float(x) for x in words(learning_rates))
    except ValueError:
        raise RequestError(f"--learning-rates {learning_rates}: write numbers, as in 0.001,0.003") from None
    if learning_rates is not None and not rates:
        raise RequestError("--learning-rates: write numbers, as in 0.001,0.003")
    if "random-search" not in rows:
        unread.refuse(["searches", "population"], "of the row random-search: add it to --methods")
    if problem.csv is None:
        unread.refuse(["baselines"], "the simple models are of tables: give it with --csv")
    request = CompareRequest(
        **problem.fields(),
        **take_score(options),
        rows=tuple(dict.fromkeys(rows)),
        policies=tuple(Policy.load(p) for p in policies),
        seeds=seeds,
        splits=splits,
        baselines=baselines,
        sharing=shares,
        seed=seed,
        learning_rates=rates,
        searches=searches,
        population=population,
    )
    if problem.csv is not None:
        announce(made[0], loader)
    target = Path(out or f"runs/compare-{request.label}-{digest(request.model_dump(mode='json'))}")
    with logged(logs):
        result = run(request, target, command_line(), resume, show, loader, workers)
    emit(public(result), as_json, summary(result))


@click.command()
@click.option("--workload", default=None, help="Another workload than the demo's own.")
@worker_options
@out_options
def demo(workload: str | None, out: str | None, resume: bool, as_json: bool, **options: Any) -> None:
    """The main job on real data: search, retrain, compare, report."""
    target = Path(out or "runs/demo")
    if not (target / "result.json").exists():
        begin_workers(options)
    from scalarize.report import build  # type: ignore[attr-defined,unused-ignore]
    from scalarize.runs.compare import public, summary
    from scalarize.studies import demo as main_job

    asked = workload or main_job.WORKLOAD

    def train_with(kind: str, value: str) -> str:
        words = ["compare", asked, "--methods", "single"] if kind == "models" else ["train", asked, f"--{kind}", value]
        return shlex.join(["scalarize", *words])

    result = main_job.demo(target, command_line(), resume, show, asked, take_workers(options), train_with)
    page, advice = build(target, target / "report.html"), result["advice"]
    said = "\n".join([f"report: {page}", "", *advice["words"], f"train with: {advice['command']}"])
    emit(public(result) | {"report": str(page)}, as_json, f"{summary(result)}\n{said}")


@click.command()
@click.argument("directories", nargs=-1, required=True, type=click.Path())
@click.option("--out", metavar="FILE.html", help="Where to write (default: report.html in the first directory).")
@json_option
def report(directories: tuple[str, ...], out: str | None, as_json: bool) -> None:
    """One self-contained page of what the given directories hold."""
    from scalarize.analysis import readers
    from scalarize.report import build  # type: ignore[attr-defined,unused-ignore]
    from scalarize.runs import tables
    from scalarize.runs.directory import read_config
    from scalarize.utils import files

    paths = [Path(d) for d in directories]
    for path in paths:
        readers.check_place(path)
        if (path / "config.yaml").exists():
            tables.check_unchanged(read_config(path), path)
    target = Path(out) if out else paths[0] / "report.html"
    if target.exists() and target.suffix != ".html":
        raise RequestError(f"{target}: exists and is no page; choose another --out, as in --out report.html")
    files.check_directory(target.parent)
    page = build(paths if len(paths) > 1 else paths[0], target)
    emit({"report": str(page)}, as_json, f"report: {page}")
