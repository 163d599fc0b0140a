"""When does searching task weights pay? One thing at a time is varied that makes weights matter, on real data, and two
searches are compared with the best rule that is free; then one main target with the other tasks as auxiliaries.

    scalarize data get emoji; scalarize data get multi-fashion; scalarize data get gettext-fr-ro
    python results/when_search_pays.py run --out runs/when-search-pays [--hours 8 --workers 2]
    python results/when_search_pays.py table --out runs/when-search-pays > results/when-search-pays.md

``run`` measures the cells that are missing, the repetition outermost, until all are there, ``--hours`` are over or a
dose has used what results/search_pays_cases.py allocates to it; a cell is a file, and several processes may work on one
folder. ``--only`` names doses; ``--first`` measures or shows later repetitions alone, for
results/when-search-pays-again.md. ``table`` also draws the figures, below results/when-search-pays/.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from pathlib import Path
from typing import Any

import search_pays_page as page
from search_pays_again import again
from search_pays_cases import DOSES, Cell, cells, row_name
from search_pays_trainings import measured

from scalarize.report import images
from scalarize.runs.build import Loader
from scalarize.utils import files
from scalarize.utils.errors import BusyError
from scalarize.utils.locking import lock

FIGURES = Path(__file__).parent / "when-search-pays"
PAGE = FIGURES.with_suffix(".md")


def used(out: Path, first: int = 0) -> dict[str, float]:
    """Return CPU hours by dose; a cell that doses share counts for the first of them."""
    spent = {d.name: 0.0 for d in DOSES}
    for cell in cells(first):
        path = out / "cells" / f"{cell.name}.json"
        if path.exists():
            spent[cell.dose.name] += files.read_json(path)["seconds"] / 3600
    return spent


def work(out: Path, until: float, only: set[str], first: int) -> None:
    """Measure missing cells, one after the other, that no other process is at."""
    loader, spent = Loader(kept=4), used(out, first)
    hours = {d.name: d.hours for d in DOSES}
    for cell in cells(first):
        place, name = out / "cells" / f"{cell.name}.json", cell.dose.name
        if (only and name not in only) or place.exists():
            continue
        if time.time() > until:
            return
        if spent[name] > hours[name]:
            continue
        try:
            with lock(out / "busy" / cell.name):
                if not place.exists():
                    spent[name] += one(cell, place, loader) / 3600
        except BusyError:
            continue


def one(cell: Cell, place: Path, loader: Loader) -> float:
    """Measure a cell and write its file; return CPU seconds."""
    begun = time.process_time()
    found = measured(cell, loader)
    seconds = time.process_time() - begun
    files.write_json(place, found | {"seconds": seconds})
    print(f"{time.strftime('%H:%M:%S')} {cell.name}: {seconds:.1f} s", file=sys.stderr, flush=True)
    return seconds


def run(args: argparse.Namespace) -> None:
    until = time.time() + 3600 * args.hours
    only = {name for name in args.only.split(",") if name}
    if args.workers == 1:
        work(args.out, until, only, args.first)
        return
    crew = [
        multiprocessing.get_context("spawn").Process(target=work, args=(args.out, until, only, args.first))
        for _ in range(args.workers)
    ]
    for worker in crew:
        worker.start()
    for worker in crew:
        worker.join()


def read(out: Path, first: int = 0) -> dict[str, list[dict[str, Any]]]:
    """Return the cells that are there by row, in the order of repetitions."""
    found: dict[str, list[dict[str, Any]]] = {}
    for cell in cells(first):
        path = out / "cells" / f"{cell.name}.json"
        if path.exists():
            found.setdefault(row_name(cell.dose, cell.level), []).append(files.read_json(path))
    return found


def table(out: Path, first: int = 0) -> None:
    """Print the page, and write its figures anew; of later repetitions alone, what they say of that page."""
    if first:
        print(again(read(out, first), used(out, first), first, PAGE.read_text(encoding="utf-8")), end="")
        return
    text, charts = page.page(read(out), used(out))
    for chart in charts:
        files.write_bytes(FIGURES / f"{chart.name}.png", images.files(chart)["png"])
    print(text, end="")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "table"))
    parser.add_argument("--out", type=Path, default=Path("runs/when-search-pays"))
    parser.add_argument("--hours", type=float, default=8.0, help="of wall time, after which no cell is begun")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--first", type=int, default=0, help="the first repetition that is measured or shown")
    parser.add_argument("--only", default="", help="names of doses, separated by commas")
    args = parser.parse_args()
    if args.what == "run":
        run(args)
    else:
        table(args.out, args.first)


if __name__ == "__main__":
    main()
