"""What stands beside a table of searches and methods: the paper's numbers, and rates at the edge of those tried."""

from __future__ import annotations

import pandas as pd

from reading import numbers
from scalarize.studies.royer2023 import reported, search_tables
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
