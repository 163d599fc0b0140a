"""Planned runs: plain data, some of which need others.

All that one run gives another is read from the directory that it left. So a plan can be interrupted anywhere, and its
runs may be made in any order, and anywhere, that honours :attr:`PlannedRun.needs`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scalarize.runs.directory import digest
from scalarize.runs.request import TrainRequest
from scalarize.runs.search import SearchRequest
from scalarize.utils import vouched
from scalarize.utils.errors import RunError
from scalarize.weights.policy import Policy

MOST_BYTES = 240  # of a name in a directory, beside the digest
_UNSAFE = re.compile("[/\\\\\x00-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True)
class PlannedRun:
    """One training or search of a plan.

    name: unique in its plan. request: what is run, but for what other runs give it. labels: columns of tables about
    this run. directory: below the plan's root; None for one made of the name and a digest of the request, so that
    several plans can share a root. policy_of: the search of the plan whose policy it trains with; history: the part of
    that policy (full, last or mean). baselines_of: runs of single tasks in the plan whose validation metrics are its
    baselines. keep_records: its records are wanted, not only its result. score_of: the run of the plan by whose name
    this one's validation metrics go, since that one has no validation split.
    """

    name: str
    request: TrainRequest | SearchRequest
    labels: Mapping[str, Any] = field(default_factory=dict)
    directory: str | None = None
    policy_of: str | None = None
    history: str = "full"
    baselines_of: tuple[str, ...] = ()
    keep_records: bool = False
    score_of: str | None = None

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the runs that have to be finished before this one."""
        return (*([self.policy_of] if self.policy_of is not None else []), *self.baselines_of)

    @property
    def kind(self) -> str:
        """``search`` or ``training``."""
        return "search" if isinstance(self.request, SearchRequest) else "training"


@dataclass(frozen=True)
class FinishedRun:
    """A run of a plan that is over.

    request: as it was run, with what other runs gave it. directory: its own. result: the content of its
    ``result.json``; of a training that diverged in its first epoch, which leaves none, only ``diverged``.
    """

    planned: PlannedRun
    request: TrainRequest | SearchRequest
    directory: Path
    result: Mapping[str, Any]

    @functools.cached_property
    def policy(self) -> Policy:
        """The policy that a search found, read from its directory."""
        vouched.check(self.directory, ["policy.json"])
        return Policy.load(self.directory / "policy.json")


def in_order(plan: Sequence[PlannedRun]) -> list[PlannedRun]:
    """Sort runs so that each follows those that it needs; searches first, since trainings wait for them; else as they
    come.

    Raises:
        ValueError: two runs have one name, or a run needs one that is not there, or itself.
    """
    by_name = {p.name: p for p in plan}
    if len(by_name) < len(plan):
        names = [p.name for p in plan]
        raise ValueError(f"two runs of a plan are called {next(n for n in names if names.count(n) > 1)}")
    ordered: dict[str, PlannedRun] = {}
    waiting = sorted(plan, key=lambda p: p.kind != "search")
    while waiting:
        ready = [p for p in waiting if all(need in ordered for need in p.needs)]
        if not ready:
            lacking = waiting[0]
            raise ValueError(f"{lacking.name} needs {', '.join(lacking.needs)}: not in the plan, or in a circle")
        ordered |= {p.name: p for p in ready}
        waiting = [p for p in waiting if p.name not in ordered]
    return list(ordered.values())


def complete(planned: PlannedRun, finished: Mapping[str, FinishedRun]) -> TrainRequest | SearchRequest:
    """Complete a request from other runs of the plan: a policy, or baselines from their validation metrics.

    Raises:
        RunError: a run that would give baselines diverged.
    """
    request = planned.request
    if planned.policy_of is not None:
        policy = finished[planned.policy_of].policy.history(planned.history)
        request = request.model_copy(update={"policy": policy, "method": None})
    if planned.baselines_of:
        baselines: dict[str, float] = {}
        for name in planned.baselines_of:
            result = finished[name].result
            if "diverged" in result:
                raise RunError(f"{planned.name}: {name}, which it is compared with, diverged: it has no baseline")
            for task, values in result["measures"]["validation"].items():
                baselines |= {f"{task}/{metric}": v for metric, v in values.items() if metric != "loss"}
        request = request.model_copy(update={"baselines": baselines})
    return request


def directory_name(name: str, request: TrainRequest | SearchRequest) -> str:
    """Return a name for the directory of a run, of its name and a digest of its request.

    A name that a path cannot hold, say of a task, is replaced by letters that stand for it.
    """
    stem = name.replace(" ", "-")
    if _UNSAFE.search(stem) or stem.startswith(".") or len(stem.encode(errors="replace")) > MOST_BYTES:
        stem = f"run-{digest({'name': name})}"
    return f"{stem}-{digest(request.model_dump(mode='json'))}"
