"""The benchmark of members' states: states change hands, and a verdict needs ranges that do not overlap."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from scalarize.search.executors.base import Outcome
from scalarize.search.executors.local import LocalExecutor
from scalarize.search.executors.simulated import SimulatedLearner


def test_every_state_is_read_by_another_member(benchmark: ModuleType, tmp_path: Path) -> None:
    first = list(LocalExecutor(SimulatedLearner).run(benchmark.jobs(0, [], 3, str(tmp_path))))
    second = benchmark.jobs(1, first, 3, str(tmp_path))
    assert [job.parent for job in second] == [f"{tmp_path}/generation-0/member-{m}.pt" for m in (1, 2, 0)]
    done: list[Outcome] = list(LocalExecutor(SimulatedLearner).run(second))
    assert len(done) == 3
    assert len(list(tmp_path.rglob("*.pt"))) == 6


def test_a_verdict_needs_ranges_apart(benchmark: ModuleType) -> None:
    apart = {"small": {"object store": [0.1, 0.2], "folder": [0.3, 0.4]}}
    assert "small: object store is the fastest." in benchmark.report(apart, 2)
    overlapping = {"small": {"object store": [0.1, 0.35], "folder": [0.3, 0.4]}}
    assert "undecided" in benchmark.report(overlapping, 2)
