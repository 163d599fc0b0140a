"""``front``: the points of one model for all preferences, and the model of one of them."""

from __future__ import annotations

from pathlib import Path

import click

from scalarize.cli import command_line, emit, show
from scalarize.cli.options import json_option
from scalarize.utils import limits


@click.command()
@click.argument("run", type=click.Path())
@click.option("--points", default=11, show_default=True, type=int, help="Preferences at which it is measured.")
@click.option("--preference", metavar="A=0.2,B=0.8", help="Make an ordinary model for this preference.")
@click.option("--out", metavar="DIR", help="Where to write that model.")
@json_option
def front(run: str, points: int, preference: str | None, out: str | None, as_json: bool) -> None:
    """Measure and draw the front of a training with model.front; export the model of one preference.

    Writes front.json, front.png and front.pdf into RUN.
    """
    from scalarize.report import images
    from scalarize.report.figures import fronts
    from scalarize.runs import front as runs
    from scalarize.utils.manifest import Manifest

    limits.check("--points", points, limits.POINTS)
    target = None if out is None else Path(out)
    content = runs.front(Path(run), points, preference, target, command_line(), show)
    for kind, drawn in images.files(fronts.chart(content)).items():
        Manifest(run).write(f"front.{kind}", drawn)
    emit(content, as_json, runs.summary(content))
