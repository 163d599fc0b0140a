"""``reproduce``: the tables and figures of a paper, one target each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from scalarize.cli import command_line, emit, say
from scalarize.cli.options import out_options, parse_settings, take_workers, worker_options
from scalarize.cli.table_options import words


@click.command()
@click.argument("name", metavar="PAPER[/TARGET]", required=False)
@click.option("--list", "listed", is_flag=True, help="The targets, one a line.")
@click.option("--workload", metavar="W", help="Run the study on other data than the paper's.")
@click.option("--tasks", metavar="A,B", help="Only these tasks or domains.")
@click.option("--budget", show_default="full", help="tiny, small, full, or a share of the paper's.")
@click.option("--seeds", type=int, help="Seeds a setting, in place of the budget's.")
@click.option("--epochs", type=int, help="Length of a training, in place of the budget's.")
@click.option("--methods", metavar="A,B", help="Further rows of tables of methods.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="A setting of the recipe or model.")
@click.option("--data", metavar="DIR", help="Data root (default: SCALARIZE_DATA, else the user's cache).")
@click.option("--device", default="cpu", show_default=True)
@click.option("--page", metavar="FILE.md", help="Run what the paper's results page reports, and write that page.")
@click.option("--plan", is_flag=True, help="Say what would be run and what it would take; start nothing.")
@worker_options
@out_options
def reproduce(
    name: str | None,
    listed: bool,
    workload: str | None,
    tasks: str | None,
    budget: str | None,
    seeds: int | None,
    epochs: int | None,
    methods: str | None,
    settings: tuple[str, ...],
    data: str | None,
    device: str,
    page: str | None,
    plan: bool,
    out: str | None,
    resume: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """The tables and figures of a paper, on its data or on others.

    Runs the study behind a table or figure (or all of a paper), and draws it beside the paper's numbers.

    Runs that are there are read. Targets of one --out share their runs.

    --page runs what results/PAPER.md reports, with the options given in place of its sizes, and writes that page.

    --plan says how many trainings there would be, how many hours they would take here, how much disk, and which data
    are missing. It measures steps on random samples of the data's shape, for less than a minute.
    """
    from scalarize.report import study_page
    from scalarize.runs.directory import digest
    from scalarize.studies import outlook, registry, study
    from scalarize.utils.errors import RequestError

    if listed:
        chosen = registry.get(name) if name else tuple(t for own in registry.papers().values() for t in own)
        content = [{"name": t.name, "title": t.title, "workloads": list(t.workloads)} for t in chosen]
        text = "\n".join(f"{t.name:32s} {t.title} [{', '.join(t.workloads)}]" for t in chosen)
        emit({"targets": content}, as_json, text)
        return
    if name is None:
        raise RequestError(f"name a paper or a target: {', '.join(registry.papers())} (see --list)")
    for option, value in (("--seeds", seeds), ("--epochs", epochs)):
        if value is not None and value < 1:
            raise RequestError(f"{option} must be at least 1, got {value}")
    workers = take_workers(options)
    if page is not None:
        if plan:
            raise RequestError("--plan is of targets: leave out --page")
        if tasks or methods:
            raise RequestError("--tasks and --methods are the results page's own: leave them out beside --page")
        changed = {"budget": budget, "epochs": epochs, "seeds": seeds, "settings": parse_settings(settings)}
        changed |= {"data": data, "device": device}
        return _page(name, workload, changed, Path(page), out, resume, as_json, workers)
    chosen = registry.get(name)
    asked: dict[str, Any] = {
        "workload": workload,
        "budget": budget or "full",
        "seeds": seeds,
        "epochs": epochs,
        "methods": words(methods),
    }
    asked |= {"tasks": words(tasks)} if tasks else {}
    asked |= {"settings": parse_settings(settings), "data": data, "device": device}
    if plan:
        if out or resume:
            raise RequestError("--plan starts nothing: leave out --out and --resume")
        found = outlook.outlook(chosen, study.StudyRequest(target=name, **asked))
        return emit(found, as_json, "\n".join(outlook.lines(found)))
    paper = chosen[0].name.partition("/")[0]
    place = Path(out or f"runs/reproduce-{workload or paper}-{digest({'paper': paper, **asked})}")
    results = []
    for target in chosen:
        request = study.StudyRequest(target=target.name, **asked)
        result = study.run(target, request, place, command_line(), resume, say, workers)
        results.append(result | {"report": str(study_page.build(Path(result["out"])))})
    text = "\n".join(line for r in results for line in study.summary(r))
    emit(results[0] if len(results) == 1 else {"out": str(place), "targets": results}, as_json, text)


def _page(
    name: str,
    workload: str | None,
    changed: dict[str, Any],
    path: Path,
    out: str | None,
    resume: bool,
    as_json: bool,
    workers: Any,
) -> None:
    """Write a paper's results page, or that of one of its targets."""
    from scalarize.studies import registry, results_page
    from scalarize.utils import files
    from scalarize.utils.errors import RequestError

    paper = registry.paper_of(name)
    registry.get(name)
    if path.is_dir() or (path.exists() and path.suffix != ".md"):
        raise RequestError(f"{path}: exists and is no page; name another --page, as in --page {paper}.md")
    files.check_directory(path.parent)
    page = registry.page(paper)
    trials = page.chosen(None if name == paper else name, workload)
    place = Path(out or f"runs/{paper}")
    found = results_page.write(page, trials, results_page.Changes(**changed), path, place, resume, say, workers)
    result = {"page": str(path), "out": str(place), "targets": [{k: r[k] for k in ("out", "target")} for r in found]}
    emit(result, as_json, f"written to {path}")
