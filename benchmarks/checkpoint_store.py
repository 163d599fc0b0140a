"""Handing states from one generation to the next: through Ray's object store, a folder, or a URL that fsspec opens.

    python benchmarks/checkpoint_store.py --out results/checkpoint-store.md

Two Ray workers run two generations of members whose training takes no time: the first from fresh models, the second
from the first's states, exchanged so that each is read by a worker that may not have made it. So the seconds are those
of the states: packed, stored, read, unpacked. Each way leaves every state in the folder before it is reported, as a
search does; through the object store the driver writes it, else the workers do. The rounds alternate.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from scalarize.search.executors import ray_start
from scalarize.search.executors.base import Job, Outcome
from scalarize.search.executors.ray_executor import RayExecutor
from scalarize.search.executors.simulated import SimulatedLearner, Timing
from scalarize.utils import files

WORKERS = 2
STATES = {"small (1 kB)": 0.0, "ResNet-50 with momentum (205 MB)": Timing().checkpoint}
WAYS: dict[str, tuple[Literal["objects", "directory"], str]] = {
    "object store": ("objects", ""),
    "folder": ("directory", ""),
    "URL (file://)": ("directory", "file://"),
}


def jobs(generation: int, parents: Sequence[Outcome], members: int, place: str) -> list[Job]:
    """The jobs of a generation; each but the first continues its neighbour's state."""
    tasks = SimulatedLearner(0).tasks
    weights = dict.fromkeys(tasks, 1 / len(tasks))
    handles = {outcome.member: outcome.handle for outcome in parents}
    return [
        Job(
            generation=generation,
            member=m,
            seed=m,
            parent=handles.get((m + 1) % members),
            weights=weights,
            extras={},
            until_epoch=generation + 1,
            epochs=2,
            split="validation",
            checkpoint=f"{place}/generation-{generation}/member-{m}.pt",
            keep=True,
        )
        for m in range(members)
    ]


def seconds(executor: RayExecutor, members: int, place: str) -> float:
    """Seconds a member and generation."""
    begun = time.perf_counter()
    outcomes: list[Outcome] = []
    for generation in range(2):
        outcomes = list(executor.run(jobs(generation, outcomes, members, place)))
    return (time.perf_counter() - begun) / (2 * members)


def measure(members: int, rounds: int, states: Sequence[str]) -> dict[str, dict[str, list[float]]]:
    """State -> way -> seconds of each round. All ways share one Ray; each has its own workers, started before."""
    found: dict[str, dict[str, list[float]]] = {}
    ray_start.start(None, cpus=WORKERS * len(WAYS))
    for state in states:
        factory = functools.partial(SimulatedLearner, ballast=STATES[state])
        found[state] = {way: [] for way in WAYS}
        with tempfile.TemporaryDirectory(prefix="checkpoint-store-") as folder, contextlib.ExitStack() as stack:
            executors = {
                way: stack.enter_context(contextlib.closing(RayExecutor(factory, workers=WORKERS, through=through)))
                for way, (through, _) in WAYS.items()
            }
            for way, executor in executors.items():
                list(executor.run(jobs(0, [], WORKERS, f"{WAYS[way][1]}{folder}/warm")))
            for _ in range(rounds):
                for way, executor in executors.items():
                    found[state][way].append(seconds(executor, members, f"{WAYS[way][1]}{folder}/{WAYS[way][0]}"))
                    print(f"{state}, {way}: {found[state][way][-1]:.3f} s a member", file=sys.stderr, flush=True)
    return found


def report(found: dict[str, dict[str, list[float]]], members: int) -> str:
    """The table, and which way was faster for which state."""
    lines = [
        "# Members' states: object store, folder or URL",
        "",
        "`python benchmarks/checkpoint_store.py --out results/checkpoint-store.md`: "
        f"{WORKERS} Ray workers on one machine ({platform.machine()}, {len(os.sched_getaffinity(0))} cores, load "
        f"average {os.getloadavg()[1]:.1f}), {members} members, two generations of trainings that take no time; "
        "median and range of the rounds. The folder is a local disk: over a network its bandwidth decides, see "
        "[Scale](../scale.md).",
        "",
        "| state | way | seconds a member | range |",
        "| --- | --- | --- | --- |",
    ]
    verdicts = []
    for state, ways in found.items():
        for way, times in ways.items():
            lines.append(f"| {state} | {way} | {statistics.median(times):.3f} | {min(times):.3f} to {max(times):.3f} |")
        quickest = min(ways, key=lambda way: statistics.median(ways[way]))
        apart = all(max(ways[quickest]) < min(times) for way, times in ways.items() if way != quickest)
        verdicts.append(
            f"{state}: {quickest} is the fastest" + ("." if apart else ", but the rounds' ranges overlap: undecided.")
        )
    return "\n".join([*lines, "", *verdicts]) + "\n"


def main() -> None:
    """Measure, print, and write the table where asked."""
    parser = argparse.ArgumentParser(description="seconds that a member's state costs")
    parser.add_argument("--members", type=int, default=4, help="at least 2")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only-small", action="store_true", help="leave the large state out")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    members, states = max(given.members, 2), list(STATES)[: 1 if given.only_small else None]
    text = report(measure(members, max(given.rounds, 1), states), members)
    print(text, end="")
    if given.out is not None:
        files.write_text(given.out, text)


if __name__ == "__main__":
    main()
