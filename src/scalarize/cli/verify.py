"""``verify``: which files of a run directory are as their run wrote them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from scalarize.cli import emit
from scalarize.cli.options import json_option
from scalarize.cli.parameters import as_options


@click.command()
@click.argument("directory", type=click.Path())
@json_option
def verify(directory: str, as_json: bool) -> None:
    """Say which files of a run directory can be trusted. It only reads.

    Exit status 0: every file is as its run wrote it; 1: one is not, or has no digest; 2: there is no run.
    """
    from scalarize.runs.verify import verify as look

    found = look(Path(directory))
    wrong = [f for f in found if not f.trusted]
    lines = [f"{f.path}: {as_options(f.said)}" for f in wrong]
    counted = f"{len(found) - len(wrong)} files are as they were written"
    text = "\n".join([*lines, f"{counted}, {len(wrong)} cannot be trusted" if wrong else counted])
    emit({"trusted": not wrong, "files": [dataclasses.asdict(f) for f in found]}, as_json, text)
    if wrong:
        raise click.exceptions.Exit(1)
