"""A step of every architecture beside one of hard sharing, in rounds that are interleaved, by CPU time.

    python benchmarks/sharing_cost.py --workload rand-hie --methods uniform,pcgrad

Each step is the forward pass, the losses and the Balancer's backward of one fixed batch, in the model's default number
of experts; ``to hard`` is the median ratio to an ordinary step (summed losses, one backward) of hard sharing in the
same round.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from typing import Any

from scalarize import methods, workloads
from scalarize.analysis import text_tables
from scalarize.runs.build import Loader, prepare
from scalarize.runs.request import WorkloadRequest
from scalarize.studies import step_cost
from scalarize.studies.fixed_batch import FixedBatch


def batch(workload: str, sharing: str, loader: Loader, root: str | None) -> FixedBatch:
    """Return a fixed batch of a workload with a model of that architecture."""
    request = WorkloadRequest(workload=workload, settings={"model.sharing": sharing}, data=root)
    learner = prepare(request, loader).learner(0)
    return FixedBatch(learner.model, learner.data, learner.recipe)


def measure(workload: str, names: Sequence[str], repeats: int, root: str | None = None) -> list[dict[str, Any]]:
    """Return one row per architecture and method: ``sharing``, ``method``, ``parameters``, ``seconds``, ``to_hard``."""
    loader = Loader()
    batches = {name: batch(workload, name, loader, root) for name in workloads.get(workload).sharing}
    candidates = {
        f"{sharing} {name}": lambda b=b, name=name: b.candidate(methods.create(name))  # type: ignore[misc]
        for sharing, b in batches.items()
        for name in names
    }
    hard = batches["hard"]
    rows = step_cost.measure(
        hard.forward, hard.model.parameters(), candidates, repeats, time.process_time, memory=False, floor=False
    )
    found = []
    for row in rows[1:]:
        sharing, name = row["method"].split()
        count = sum(p.numel() for p in batches[sharing].model.parameters())
        found.append(
            {
                "sharing": sharing,
                "method": name,
                "parameters": count,
                "seconds": row["seconds"],
                "to_hard": row["to_bare"],
            }
        )
    return found


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Write the rows as text."""
    body = [
        [r["sharing"], r["method"], str(r["parameters"]), f"{1e3 * r['seconds']:.2f}", f"{r['to_hard']:.2f}"]
        for r in rows
    ]
    return text_tables.render(["architecture", "method", "parameters", "CPU ms a step", "to hard"], body, left=(0, 1))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="a step of every architecture beside one of hard sharing")
    parser.add_argument("--workload", default="rand-hie")
    parser.add_argument("--methods", default="uniform,pcgrad")
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--data", help="data root")
    given = parser.parse_args()
    print(table(measure(given.workload, given.methods.split(","), given.repeats, given.data)))


if __name__ == "__main__":
    main()
