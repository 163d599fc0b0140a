"""``reproduce``: the tables and figures of a paper, one target each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from scalarize.cli import command_line, emit, say
from scalarize.cli.options import out_options, words


@click.command()
@click.argument("name", metavar="PAPER[/TARGET]", required=False)
@click.option("--list", "listed", is_flag=True, help="The targets, one a line.")
@click.option("--workload", metavar="W", help="Run the study on other data than the paper's.")
@click.option("--tasks", metavar="A,B", help="Only these tasks or domains.")
@click.option("--budget", default="full", show_default=True, help="tiny, small, full, or a share of the paper's.")
@click.option("--seeds", type=int, help="Seeds a setting, in place of the budget's.")
@click.option("--epochs", type=int, help="Length of a training, in place of the budget's.")
@click.option("--methods", metavar="A,B", help="Further rows of tables of methods.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="A setting of the recipe or model.")
@click.option("--data", metavar="DIR", help="Data root (default: SCALARIZE_DATA, else the user's cache).")
@click.option("--device", default="cpu", show_default=True)
@out_options
def reproduce(
    name: str | None,
    listed: bool,
    workload: str | None,
    tasks: str | None,
    budget: str,
    seeds: int | None,
    epochs: int | None,
    methods: str | None,
    settings: tuple[str, ...],
    data: str | None,
    device: str,
    out: str | None,
    resume: bool,
    as_json: bool,
) -> None:
    """The tables and figures of a paper, on its data or on others.

    Runs the study behind a table or figure (or all of a paper), and draws it beside the paper's numbers.

    Runs that are there are read. Targets of one --out share their runs.
    """
    from scalarize.learners.recipe import parse_settings
    from scalarize.report import study_page as page
    from scalarize.runs.directory import digest
    from scalarize.studies import registry, study
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
    chosen = registry.get(name)
    asked: dict[str, Any] = {
        "workload": workload,
        "budget": budget,
        "seeds": seeds,
        "epochs": epochs,
        "methods": words(methods),
    }
    asked |= {"tasks": words(tasks)} if tasks else {}
    asked |= {"settings": parse_settings(list(settings)), "data": data, "device": device}
    paper = chosen[0].name.partition("/")[0]
    place = Path(out or f"runs/reproduce-{workload or paper}-{digest({'paper': paper, **asked})}")
    results = []
    for target in chosen:
        request = study.StudyRequest(target=target.name, **asked)
        result = study.run(target, request, place, command_line(), resume, say)
        results.append(result | {"report": str(page.build(Path(result["out"])))})
    text = "\n".join(line for r in results for line in study.summary(r))
    emit(results[0] if len(results) == 1 else {"out": str(place), "targets": results}, as_json, text)
