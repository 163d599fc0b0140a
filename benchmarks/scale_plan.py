"""Plan a search of 1,000 members on 100 nodes before paying for it; writes docs/scale.md.

    python benchmarks/scale_plan.py --out docs/scale.md

The simulation is exact for its seed; the driver's times are measured where this runs.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

import scalarize
from scalarize.search.algorithms import registry
from scalarize.search.algorithms.base import Setting
from scalarize.search.executors.simulated import (
    Cluster,
    SimulatedExecutor,
    SimulatedLearner,
    SimulatedSchedule,
    Timing,
    simulate,
)
from scalarize.search.space import Space

BASE = SimulatedSchedule()
WHOLE = Timing(epoch=BASE.timing.epoch * 0.4, evaluation=BASE.timing.evaluation * 0.4)
CASES: dict[str, SimulatedSchedule] = {
    "base": BASE,
    "even trainings (jitter 2 %, no stragglers)": replace(BASE, timing=Timing(jitter=0.02, straggling=0.0)),
    "uneven trainings (jitter 20 %, 5 % take three times as long)": replace(
        BASE, timing=Timing(jitter=0.2, straggling=0.05, slow=3.0)
    ),
    "a failure per node every 100 hours": replace(BASE, cluster=Cluster(failures=100.0)),
    "checkpoints through the driver's disk (1.5 GB/s)": replace(BASE, cluster=Cluster(write=1500.0)),
    "both: even trainings, the driver's disk": replace(
        BASE, timing=Timing(jitter=0.02, straggling=0.0), cluster=Cluster(write=1500.0)
    ),
    "whole accelerators: 400 slots, trainings 2.5 times as fast": replace(BASE, timing=WHOLE, cluster=Cluster(slots=4)),
    "as before on 25 nodes: 100 slots": replace(BASE, timing=WHOLE, cluster=Cluster(nodes=25, slots=4)),
}


def decision(members: int, tasks: int) -> float:
    """Return the processor time in seconds in which PBT decides one generation."""
    space = Space(tuple(f"task-{k}" for k in range(tasks)))
    algorithm = registry.create("pbt", Setting(space, epochs=6, population=members, ready=3))
    first = algorithm.ask()
    assert first is not None
    rng = np.random.default_rng(0)
    algorithm.tell(rng.standard_normal(first.weights.shape), rng.standard_normal(members))
    before = time.process_time()
    algorithm.ask()
    return time.process_time() - before


def handling(members: int = 100) -> float:
    """Return the driver's processor time in seconds per training: job, learner, checkpoint, journal."""
    with tempfile.TemporaryDirectory() as directory:
        before = time.process_time()
        found = scalarize.search(SimulatedLearner, epochs=12, population=members, out=Path(directory) / "out")
        return (time.process_time() - before) / (members * found.generations)


def driven(asynchronous: bool, members: int, seeds: int) -> tuple[float, float]:
    """Return the simulated hours of PBT with the real driver, and the value of its policy; means over ``seeds``."""
    found = []
    for seed in range(seeds):
        executor = SimulatedExecutor(SimulatedLearner, members, BASE.timing, epochs=BASE.ready, seed=seed)
        result = scalarize.search(
            SimulatedLearner,
            epochs=12,
            ready=1,
            population=members,
            seed=seed,
            executor=executor,
            asynchronous=asynchronous,
        )
        found.append((executor.now / 3600.0, SimulatedLearner(0).value(result.policy)))
    hours, value = np.mean(found, axis=0).tolist()
    return hours, value


def table() -> tuple[list[str], dict[str, tuple[float, float]]]:
    """Simulate every case; return a Markdown table, and by case the gains of lag 1 and of no barrier."""
    head = ("", "hours", "slots busy", "waiting at the barrier", "stored after the last training", "repeated")
    lines = ["| " + " | ".join((*head, "driver at work", "gain of lag 1", "gain of no barrier")) + " |"]
    lines.append("| --- |" + " --- |" * 8)
    gains = {}
    for name, plan in CASES.items():
        now, lagged, free = (simulate(plan, lag) for lag in (0, 1, plan.generations))
        gains[name] = (now.hours / lagged.hours - 1, now.hours / free.hours - 1)
        cells = [f"{now.hours:.1f}", f"{now.busy:.0%}", f"{now.barrier:.0%}", f"{now.saving:.1f} s", f"{now.lost}"]
        cells += [f"{now.driver:.2%}", f"{gains[name][0]:.0%}", f"{gains[name][1]:.0%}"]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines, gains


def report() -> str:
    """Return the content of ``docs/scale.md``."""
    lines, gains = table()
    names = list(CASES)
    base, even, last = names[0], names[1], names[-1]
    hours = {name: simulate(CASES[name]).hours for name in (base, last)}
    accelerators = {base: 400, last: 100}
    spent = {name: hours[name] * accelerators[name] for name in hours}
    timing, cluster, traffic, handled = BASE.timing, BASE.cluster, simulate(BASE).traffic, handling()
    free_members, free_seeds = 24, 2
    (barrier_hours, barrier_value), (free_hours, free_value) = (
        driven(asynchronous, free_members, free_seeds) for asynchronous in (False, True)
    )
    text = TEMPLATE.format(
        free_members=free_members,
        free_seeds=free_seeds,
        barrier_hours=barrier_hours,
        barrier_value=barrier_value,
        free_hours=free_hours,
        free_value=free_value,
        members=BASE.members,
        generations=BASE.generations,
        ready=BASE.ready,
        epoch=timing.epoch,
        checkpoint=timing.checkpoint,
        slots=cluster.slots,
        failures=cluster.failures,
        write=cluster.write / 1000,
        decision=min(decision(1_000, 40) for _ in range(3)) * 1000,
        large=min(decision(10_000, 1_000) for _ in range(3)),
        handling=handled * 1000,
        outcomes=handled * BASE.members,
        minutes=timing.epoch * BASE.ready / 60,
        slow_disk=simulate(CASES[names[5]]).saving,
        fast_disk=simulate(CASES[even]).saving,
        even=gains[even][1],
        free_last=gains[last][1],
        hours_last=hours[last],
        hours_base=hours[base],
        saved=1 - spent[last] / spent[base],
        traffic=traffic,
        rate=traffic * 1000 / (timing.epoch * BASE.ready),
        lag=gains[base][0],
        free=gains[base][1],
    )
    return text.replace("TABLE", "\n".join(lines))


TEMPLATE = """\
# Planning a search of {members:,} members on 100 nodes

This page is made by `python benchmarks/scale_plan.py --out docs/scale.md`, with
`scalarize.search.executors.simulated`: a learner that simulates its training, and a simulation of a search event by
event. Replace the assumptions by your own numbers:

```python
from scalarize.search.executors.simulated import Cluster, SimulatedSchedule, Timing, simulate

print(simulate(SimulatedSchedule(members=200, timing=Timing(epoch=90.0, jitter=0.1), cluster=Cluster(nodes=20))))
```

Base case: each member trains a ResNet-50 for {generations} generations of {ready} epochs of {epoch:.0f} s, with a
checkpoint of {checkpoint:.0f} MB. There are {slots} slots per node, so all members train at once. Times vary by 5 %,
and one training in a hundred takes twice as long. A node fails every {failures:,.0f} hours, with the trainings on it.
Checkpoints go to a file system that takes {write:.0f} GB/s. These are assumptions, except for the size of the
checkpoint and the driver's times, which are processor times on the (busy) machine that made this page.

## The driver

- It decides a generation of 1,000 members and 40 tasks in {decision:.0f} ms, and one of 10,000 members and 1,000
  tasks in {large:.1f} s (PBT, decision only).
- A training that takes no time costs it {handling:.0f} ms in all, including learner and small checkpoint:
  {outcomes:.0f} s for the {members:,} outcomes of a generation that trains for {minutes:.0f} minutes.

## Checkpoints

A generation writes {traffic:.0f} GB, {rate:.0f} MB/s averaged over its training. If trainings are uneven, checkpoints
arrive one after another and the last one need not wait. If trainings are even, they all arrive at once: the last one is
stored {slow_disk:.0f} s after the last training through one disk of 1.5 GB/s at the driver, and {fast_disk:.0f} s after
it through the file system. So on many nodes give `--checkpoints` a directory that all of them see, or a URL that fsspec
opens: workers then read and write members' states there (in Python: `search(..., checkpoints=)` with
`RayExecutor(..., through="directory")`), and only decisions and metrics pass through the driver.

## The barrier

TABLE

A gain is the additional time of the search with a barrier. "Lag 1" is a barrier one generation back: a member goes on
once all have been scored on the generation before the last, so one slow training rarely delays the others. "No barrier"
is the asynchronous population of Jaderberg et al. (2017).

Conclusions:

- With as many slots as members, a generation takes as long as its slowest training: in the base case asynchronous
  generations would gain {free:.0%}, and lag 1 alone {lag:.0%}. With even trainings it is {even:.0%}.
- Fewer slots than members gain as much, because slots are refilled: the last row runs the same search on a quarter of
  the accelerators in {hours_last:.1f} hours instead of {hours_base:.1f}, with {saved:.0%} fewer accelerator-hours, and
  asynchronous generations would add only {free_last:.0%}.
- So the asynchronous mode pays if every member has its own slot and trainings are uneven. It is available, with lag 1
  (`scalarize search --asynchronous`, `scalarize.search(..., asynchronous=True)`): it has most of the gain, and still at
  most two checkpoints per member. It is not the default, because it gains little with fewer slots than members.
- Failures cost little: a node that fails repeats one training per slot.

## Without a barrier

A member goes on as soon as a worker is free for it, compared with those of its generation that have been scored by
then; the member that is furthest behind goes first. Both modes use the same driver, executors and checkpoints. What can
be reproduced:

- In one process all members have been scored when the next decision is made, and the lineage is that of the search with
  a barrier, byte for byte.
- With parallel workers, decisions depend on the order in which trainings end. `events.jsonl` records that order, and
  every decision follows from the rows before it: a search is rebuilt from its events without any training. A resumed
  search continues from them and repeats no training that was stored; it is a valid continuation, but not the search
  that would have been without the crash, because the order may differ.
- `pbt` and `mopbt` can search without a barrier; algorithms that decide for whole generations refuse.

The real driver, deciding {free_members} members on as many slots of
`scalarize.search.executors.simulated.SimulatedExecutor` with the times of the base case, 12 generations, {free_seeds}
seeds: with a barrier {barrier_hours:.2f} simulated hours and policies worth {barrier_value:.3f} (1 is best), without
one {free_hours:.2f} hours and {free_value:.3f}.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("docs/scale.md"))
    parser.parse_args().out.write_text(report())


if __name__ == "__main__":
    main()
