"""Lists of trainings: what a row of a comparison consists of, and how missing runs are run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scalarize.runs import request as requests
from scalarize.runs import train as training
from scalarize.runs.request import TrainRequest, WorkloadRequest
from scalarize.weights import simplex
from scalarize.weights.policy import Policy

Say = Callable[[str], None]


@dataclass(frozen=True)
class PlannedRun:
    """One value of a row: the trainings behind it (several where each trains one task alone).

    row: the table's row; seed; group: the search whose policy it retrains, or None; search_trainings: what that
    search cost.
    """

    row: str
    seed: int
    requests: Sequence[TrainRequest]
    group: int | None = None
    search_trainings: float = 0
    rate: float | None = None
    names: Sequence[str] = field(default_factory=list)

    def directories(self) -> list[str]:
        """Where its trainings lie, below ``runs/``."""
        parts = [self.row]
        if self.group is not None:
            parts.append(f"search{self.group}")
        if self.rate is not None:
            parts.append(f"lr{self.rate:g}")
        stem = "-".join([*parts, f"seed{self.seed}"])
        return [f"{stem}-{r.single}" if r.single else stem for r in self.requests]


def request_for(problem: WorkloadRequest, **more: Any) -> TrainRequest:
    """A training of ``problem``."""
    fields = {name: getattr(problem, name) for name in WorkloadRequest.model_fields}
    return TrainRequest(**(fields | more))


def initial_losses(problem: WorkloadRequest, seed: int) -> dict[str, float]:
    """Each objective's training loss before the first step, for the model that ``seed`` makes."""
    learner = requests.make_learner(problem, seed)
    return {name: seen["loss"] for name, seen in learner.measure("train").items()}


def inverse_policy(losses: dict[str, float]) -> dict[str, Any]:
    """The content of the constant policy whose weights are inverse to ``losses``."""
    return Policy.constant(dict(zip(losses, simplex.inverse(list(losses.values())).tolist(), strict=True))).to_dict()


def execute(plan: Sequence[PlannedRun], out: Path, command: str, say: Say | None = None) -> list[dict[str, Any]]:
    """Run what is missing below ``out``/runs, read what is there; one record a planned run, in order.

    A record: {"method", "group", "seed", "rate", "test", "average", "validation", "trainings", "search_trainings",
    "directories", "seconds", "diverged"}.
    """
    found = []
    total = sum(len(p.requests) for p in plan)
    done = 0
    for planned in plan:
        results = []
        for request, name in zip(planned.requests, planned.directories(), strict=True):
            done += 1
            if say:
                say(f"training {done}/{total}: {name}")
            results.append(training.train(request, out / "runs" / name, command, resume=True))
        found.append(_record(planned, results))
    return found


def diverged(found: Sequence[dict[str, Any]]) -> list[str]:
    """A sentence a row whose runs diverged; empty where none did."""
    lines = []
    for row in dict.fromkeys(r["method"] for r in found):
        own = [r for r in found if r["method"] == row]
        lost = [r for r in own if r["diverged"]]
        if lost:
            first = lost[0]["diverged"][0]
            lines.append(
                f"{row}: {len(lost)} of {len(own)} diverged (first: {first}); counted as selected before that."
            )
    return lines


def _record(planned: PlannedRun, results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    def merged(split: str) -> dict[str, float]:
        return {k: v for r in results for k, v in r[split].items() if k != "average"}

    test, validation = merged("test") or merged("validation"), merged("validation")
    return {
        "method": planned.row,
        "group": planned.group,
        "seed": planned.seed,
        "rate": planned.rate,
        "test": test,
        "average": sum(test.values()) / len(test),
        "validation": sum(validation.values()) / len(validation) if validation else None,
        "trainings": len(results),
        "search_trainings": planned.search_trainings,
        "directories": [f"runs/{name}" for name in planned.directories()],
        "seconds": sum(r["seconds"] for r in results),
        "diverged": [r["diverged"] for r in results if "diverged" in r],
    }
