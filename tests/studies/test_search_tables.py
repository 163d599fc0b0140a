"""What stands beside a table of searches and methods: the paper's numbers, and rates at the edge of those tried."""

from __future__ import annotations

from types import SimpleNamespace

import pandas as pd
import pytest

from reading import numbers
from scalarize.analysis import claims
from scalarize.studies.royer2023 import reported, search_plan, search_tables
from scalarize.weights.policy import Policy


def test_our_sizes_stand_beside_the_papers() -> None:
    ours = ["depth 1, width 8", "depth 3, width 128"]
    small, large = reported.AVERAGES["table-1"]
    for sizes, expected in ((ours, [small, large]), (ours[:1], [large])):
        assert [search_tables.paper_beside("table-1", size, sizes)[0] for size in sizes] == expected
    assert search_tables.paper_beside("table-1", small, [small, large]) == (small, reported.AVERAGES["table-1"][small])


def test_rows_at_the_edge_of_the_rates_are_counted() -> None:
    everything = [{"method": m, "rate": rate} for m in "abc" for rate in (0.1, 0.3, 1.0)]
    kept = [{"method": "a", "rate": 1.0}, {"method": "b", "rate": 1.0}, {"method": "c", "rate": 0.3}]
    assert numbers(search_tables.edges(kept, everything)) == [0, 2, 3]  # at the smallest, at the largest, of all


def test_policies_that_never_change_are_counted() -> None:
    still = Policy.constant({"a": 1.0, "b": 3.0}, 4)
    moving = Policy.from_schedule(("a", "b"), [(0, [0.5, 0.5]), (2, [0.25, 0.75])], 4)
    known = [("pbt", "small", still), ("pbt", "small", moving), ("pbt", "large", still), ("pb2", "small", still)]
    searches = pd.DataFrame([{"row": row, "size": size, "run": f"{k}"} for k, (row, size, _) in enumerate(known)])
    policies = {f"{k}": policy for k, (_, _, policy) in enumerate(known)}
    assert numbers(search_tables.steady(searches, policies, "pbt", "small")) == [1, 2]  # that stay, of all


def test_the_rows_at_the_edge_of_the_rates_are_named() -> None:
    everything = [{"method": m, "rate": rate} for m in "ab" for rate in (0.1, 0.3, 1.0)]
    kept = [{"method": "a", "rate": 1.0}, {"method": "b", "rate": 0.3}]
    assert search_tables.outer(kept, everything) == ["a"]
    assert search_tables.outer(kept[1:], everything[4:5]) == []  # one rate has no edge


@pytest.mark.parametrize(("members", "decisions", "acts"), [(12, 10, True), (11, 10, False), (12, 9, False)])
def test_a_population_that_hardly_acts_says_nothing_of_c4(members: int, decisions: int, acts: bool) -> None:
    assert bool(search_plan.hardly_acts("pbt", members, decisions)) != acts
    result = {"trainings": members * 0.7, "generations": decisions + 1}
    searches = pd.DataFrame([{"row": "pbt", "size": "s", "result": result}])

    def flaws(workload: str, edge: list[str]) -> list[claims.Flaw]:
        found = SimpleNamespace(context=SimpleNamespace(workload=SimpleNamespace(name=workload)), searches=searches)
        key = ("C4, pbt", "s")
        return search_tables._flaws(found, search_plan.TABLE_2, key, ["pbt over uniform"], edge)  # type: ignore[arg-type]

    assert [flaw.both for flaw in flaws("rand-hie", [])] == ([] if acts else [True])
    assert flaws("celeba-8", []) == []  # the paper's own data have the paper's own settings
    assert ["uniform" in flaw.why for flaw in flaws("celeba-8", ["uniform", "pcgrad"])] == [True]
    assert flaws("celeba-8", ["pcgrad"]) == []  # no part of this claim
