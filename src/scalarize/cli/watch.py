"""``watch``: how far the runs of a directory are, while they run."""

from __future__ import annotations

import dataclasses
import sys
import time
from pathlib import Path

import click

from scalarize.cli import emit
from scalarize.cli.options import json_option
from scalarize.utils.errors import RequestError

FINISHED_SHOWN = 10


@click.command()
@click.argument("directory", type=click.Path())
@click.option("--every", default=2.0, show_default=True, type=float, help="Seconds between two looks.")
@click.option("--once", is_flag=True, help="Look once.")
@json_option
def watch(directory: str, every: float, once: bool, as_json: bool) -> None:
    """Show how far the runs and searches of a directory are, until all are finished. It only reads."""
    from scalarize.analysis import progress

    if every <= 0:
        raise RequestError(f"--every must be above 0, got {every:g}")
    place, before = Path(directory), ""
    while True:
        states, sets = progress.read(place), progress.sets(place)
        under_way = [s for s in states if not s.finished]
        finished = [s for s in states if s.finished]
        done = bool(states) and not under_way and not sets
        head = f"{len(finished)} finished, {len(under_way)} under way" if states else f"{place}: nothing here yet"
        text = "\n".join([head, *(s.line for s in sets), *(s.line for s in [*under_way, *finished[-FINISHED_SHOWN:]])])
        if once or done or as_json:
            rows = [dataclasses.asdict(s) | {"path": str(s.path)} for s in states]
            running = [dataclasses.asdict(s) | {"path": str(s.path)} for s in sets]
            return emit({"runs": rows} | ({"sets": running} if sets else {}), as_json, _clear() + text)
        if text != before:
            click.echo(_clear() + text)
            before = text
        time.sleep(every)


def _clear() -> str:
    """Clear a terminal, which shows the newest state alone; a file gets one state after another."""
    return "\x1b[2J\x1b[H" if sys.stdout.isatty() else ""
