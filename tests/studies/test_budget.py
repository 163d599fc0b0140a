"""Budgets scale numbers down, and say so."""

from __future__ import annotations

import itertools

import pytest

from scalarize import workloads
from scalarize.runs.request import WorkloadRequest
from scalarize.studies import axes, budget, registry, study
from scalarize.studies.royer2023 import capacity
from scalarize.tasks.task import Data
from scalarize.utils.errors import RequestError


def test_thinning_keeps_the_ends() -> None:
    tiny, small, full = (budget.parse(name) for name in ("tiny", "small", "full"))
    values = list(range(9))
    assert tiny.thin(values) == [0, 8]
    assert small.thin(values) == [0, 4, 8]
    assert small.thin(values, finer=2) == [0, 2, 4, 6, 8]
    assert full.thin(values) == values
    assert tiny.thin([7]) == [7]
    assert budget.parse("0.5").thin(values) == [0, 3, 5, 8]


def test_numbers_are_bounded_and_never_vanish() -> None:
    assert budget.parse("tiny").count(300, 2) == 2
    assert budget.parse("0.01").count(3, None) == 1
    assert budget.parse("tiny").members(12) == 3
    assert budget.parse("0.01").members(12) == 2
    assert budget.parse("tiny").first(["a", "b", "c"]) == ["a", "b"]


@pytest.mark.parametrize("text", ["huge", "0", "-1", "1.5", "nan"])
def test_other_budgets_are_refused(text: str) -> None:
    with pytest.raises(RequestError, match="tiny, small, full"):
        budget.parse(text)


def test_what_was_scaled_is_said() -> None:
    full = [{"seed": s, "width": w} for s in range(3) for w in (8, 16)]
    assert budget.scaled(full, full) == []
    said = budget.scaled(full, full[:1])
    assert said == ["runs: 6 -> 1", "seed: 3 values -> 1", "width: 2 values (8, 16) -> 1 (8)"]
    assert budget.scaled([{"p": 0.0}, {"p": None}, {}], [{"p": 0.0}]) == ["runs: 3 -> 1"]


def context(**settings: object) -> study.Context:
    problem = WorkloadRequest(workload="rand-hie", settings=settings)
    return study.Context(problem, workloads.get("rand-hie"), Data((), {}, 1), budget.parse("tiny"))


def test_a_setting_that_fixes_the_size_is_not_swept_over() -> None:
    assert len(context().sizes) == 9
    fixed = context(**{"model.widths": [32, 32]})
    assert [s.name for s in fixed.sizes] == ["depth 2, width 32"]
    assert [s.name for s in context(**{"model.widths": [5]}).sizes] == ["depth as set, width 1"]
    with pytest.raises(RequestError, match="`settings` fixes the size"):
        axes.several_sizes(fixed)


def test_the_sizes_are_those_of_the_recipes_family() -> None:
    def depths(**settings: object) -> set[object]:
        problem = WorkloadRequest(workload="emoji", settings=settings)
        here = study.Context(problem, workloads.get("emoji"), Data((), {}, 1), budget.parse("tiny"))
        return {size.depth for size in here.sizes}

    assert depths() == {26, 50}
    assert depths(**{"model.family": "vit"}) == {3, 6}


@pytest.mark.parametrize(("size", "count"), [("tiny", 3), ("small", 5), ("full", 13)])
def test_weights_of_a_pair_lie_on_a_logarithmic_grid_around_the_even_one(size: str, count: int) -> None:
    problem = WorkloadRequest(workload="rand-hie")
    here = study.Context(problem, workloads.get("rand-hie"), Data((), {}, 1), budget.parse(size))
    odds = [p / (1 - p) for p in capacity._inner(here)]
    assert len(odds) == count
    assert odds[count // 2] == 1
    assert [b / a for a, b in itertools.pairwise(odds)] == pytest.approx([10**0.5] * (count - 1), rel=0.02)


def test_a_study_can_be_restricted_to_tasks() -> None:
    (target,) = registry.get("royer2023/figure-3")
    tasks = ("any-mental", "visits-other")
    request = study.StudyRequest(target=target.name, workload="rand-hie", tasks=tasks, budget="tiny")
    ((full, here),) = study.contexts(target, request)
    assert full.data.names == here.data.names == list(tasks)
    plan = target.plan(here)
    assert {p.request.tasks for p in plan} == {tasks}
    assert {p.labels["pair"] for p in plan} == {"any-mental|visits-other"}
