"""Lists of workloads and methods, and the fetching of data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from scalarize.cli import emit, say
from scalarize.cli.options import json_option, parse_settings
from scalarize.utils.errors import RequestError


@click.command()
@click.option("--data", metavar="DIR", help="Data root.")
@json_option
def workloads(data: str | None, as_json: bool) -> None:
    """List the workloads: kind, tasks, size, data present or how to get it."""
    from scalarize import workloads as known

    root = known.data_root(data)
    rows: list[dict[str, Any]] = []
    for name in known.names():
        w = known.get(name)
        missing = w.absent(root)
        row = {"name": w.name, "kind": w.kind, "tasks": list(w.objectives), "size": w.size, "missing": missing}
        rows.append(row | {"provenance": w.provenance, "sharing": list(w.sharing)})
    lines = [
        f"{r['name']}  {r['kind']}  {len(r['tasks'])} {'tasks' if r['kind'] == 'multi-task' else 'domains'}  "
        f"{r['size']}  {'data present' if r['missing'] is None else r['missing']}"
        for r in rows
    ]
    emit({"workloads": rows}, as_json, "\n".join(lines))


@click.command()
@json_option
def methods(as_json: bool) -> None:
    """List the methods: family, needs, heads rule, paper, options with their defaults."""
    from scalarize import methods as known

    rows: list[dict[str, Any]] = []
    for name in known.names():
        m = known.get(name)
        row = {"name": name, "family": m.family, "needs": m.needs.name.lower(), "heads": m.heads, "paper": m.paper}
        rows.append(row | {"required": list(m.requires), "options": m.defaults()})
    lines = [
        f"{r['name']}  {r['family']}  needs {r['needs']}  heads {r['heads']}  {r['paper']}"
        + "".join([f"  {key}=..." for key in r["required"]] + [f"  {k}={v}" for k, v in r["options"].items()])
        for r in rows
    ]
    emit({"methods": rows}, as_json, "\n".join(lines))


@click.group()
def data() -> None:
    """Fetch, build and verify data sets."""


@data.command()
@click.argument("name")
@click.option("--data", "root", metavar="DIR", help="Data root.")
@click.option("--accept-licence", is_flag=True, help="Also fetch parts whose licence restricts their use.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Of what is built here: frames, seed.")
@json_option
def get(name: str, root: str | None, accept_licence: bool, settings: tuple[str, ...], as_json: bool) -> None:
    """Fetch, build, verify and cache the data set of a workload."""
    from scalarize import workloads as known
    from scalarize.utils import files
    from scalarize.workloads.datasets import manifest

    workload = known.get(name)
    folder = known.data_root(root)
    if workload.get is None:
        missing = workload.missing(folder)
        if missing is not None:
            raise RequestError(f"{name} cannot be fetched: {missing}")
        emit({"workload": name, "path": None}, as_json, f"{name}: its data is present, nothing to get")
        return
    files.check_directory(folder, "data")
    say(f"getting {name} into {folder}")
    path = Path(workload.get(folder, {**parse_settings(settings), "accept_licence": accept_licence}))
    for line in manifest.summary(path):
        say(line)
    emit({"workload": name, "path": str(path)}, as_json, f"{name}: {path}")
