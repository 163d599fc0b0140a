"""``watch``: how far the runs of a directory are, while they run."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scalarize.cli import emit
from scalarize.cli.options import json_option
from scalarize.utils.errors import RequestError

if TYPE_CHECKING:
    from scalarize.analysis.progress import RunState

FINISHED_SHOWN = 10
LONGEST = 86_400.0  # seconds between two looks


@click.command()
@click.argument("directory", type=click.Path())
@click.option("--every", default=2.0, show_default=True, type=float, help="Seconds between two looks.")
@click.option("--once", is_flag=True, help="Look once.")
@json_option
def watch(directory: str, every: float, once: bool, as_json: bool) -> None:
    """Show how far the runs and searches of a directory are, until all are finished. It only reads."""
    from scalarize.analysis import progress
    from scalarize.utils import life

    if not 0 < every <= LONGEST:
        raise RequestError(f"--every must be above 0 and at most {LONGEST:g} seconds, got {every:g}")
    place, before, last = Path(directory), "", None
    while True:
        states, sets = progress.read(place), progress.sets(place)
        quiet, last = (states, sets) == last, (states, sets)
        if once or as_json or quiet:  # what goes on is seen without a look at locks
            states, sets = progress.with_life(states), [s for s in sets if life.works(s.path)]
        under_way = [s for s in states if not s.over]
        finished = [s for s in states if s.over]
        done = bool(states) and not under_way and not sets
        head = _head(states) if states else f"{place}: nothing here yet"
        text = "\n".join([head, *(s.line for s in sets), *(s.line for s in [*under_way, *finished[-FINISHED_SHOWN:]])])
        if once or done or as_json:
            rows = [dataclasses.asdict(s) | {"path": str(s.path)} for s in states]
            running = [dataclasses.asdict(s) | {"path": str(s.path)} for s in sets]
            return emit({"runs": rows} | ({"sets": running} if sets else {}), as_json, _clear() + text)
        if text != before:
            click.echo(_clear() + text)
            before = text
        time.sleep(every)


def _head(states: Sequence[RunState]) -> str:
    """Return the counts; what diverged or stopped is not counted as finished."""
    counts = {"finished": sum(s.finished for s in states), "under way": sum(not s.over for s in states)}
    lost = {"diverged": sum(not s.finished and bool(s.diverged) for s in states)}
    lost |= {"stopped": sum(s.stopped for s in states)}
    return ", ".join(f"{count} {word}" for word, count in [*counts.items(), *((w, c) for w, c in lost.items() if c)])


def _clear() -> str:
    """Clear a terminal, which shows the newest state alone; a file gets one state after another."""
    return "\x1b[2J\x1b[H" if sys.stdout.isatty() else ""
