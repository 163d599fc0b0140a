"""``verify``: which files of a run directory are as their run wrote them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from scalarize.cli import emit, say
from scalarize.cli.options import json_option
from scalarize.cli.parameters import as_options
from scalarize.utils.errors import RunError


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
    content = {"trusted": not wrong, "files": [dataclasses.asdict(f) for f in found]}
    if not wrong:
        return emit(content, as_json, f"{len(found)} files are as they were written")
    counted = f"{directory}: {len(wrong)} of {len(found)} cannot be trusted"
    if not as_json:
        for finding in wrong:
            say(f"{finding.path}: {as_options(finding.said)}")
        raise RunError(counted)
    emit(content | {"error": counted, "status": RunError.status}, as_json, counted)
    raise click.exceptions.Exit(RunError.status)
