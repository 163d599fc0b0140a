"""The cost of architectures: a row for each, beside hard sharing."""

from __future__ import annotations

from scalarize.workloads.models.sharing.names import VECTORS
from scripts import load

cost = load("benchmarks/sharing_cost.py")


def test_a_row_for_every_architecture_and_method() -> None:
    rows = cost.measure("rand-hie", ["uniform"], 1)
    assert [r["sharing"] for r in rows] == list(VECTORS)
    assert all(r["to_hard"] > 0 for r in rows)
    sizes = {r["sharing"]: r["parameters"] for r in rows}
    assert sizes["hard"] < min(n for name, n in sizes.items() if name != "hard")
    assert "to hard" in cost.table(rows)
