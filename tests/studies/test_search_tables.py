"""What stands beside a table of searches and methods: the paper's numbers, and rates at the edge of those tried."""

from __future__ import annotations

from scalarize.studies.royer2023 import printed, search_tables


def test_our_sizes_stand_beside_the_papers() -> None:
    ours = ["depth 1, width 8", "depth 3, width 128"]
    small, large = printed.AVERAGES["table-1"]
    for sizes, expected in ((ours, [small, large]), (ours[:1], [large])):
        assert [search_tables.paper_beside("table-1", size, sizes)[0] for size in sizes] == expected
    assert search_tables.paper_beside("table-1", small, [small, large]) == (small, printed.AVERAGES["table-1"][small])


def test_rows_at_the_edge_of_the_rates_are_counted() -> None:
    everything = [{"method": m, "rate": rate} for m in "abc" for rate in (0.1, 0.3, 1.0)]
    kept = [{"method": "a", "rate": 1.0}, {"method": "b", "rate": 1.0}, {"method": "c", "rate": 0.3}]
    said = search_tables.edges(kept, everything)
    assert said == "Of 3 rows, 2 chose the largest learning rate tried, 0 the smallest."
