"""The first sentence of a table's comparison: whether simple models are ahead."""

from __future__ import annotations

from typing import Any

from scalarize.runs.table_baselines import lead


def row(method: str, mean: float | None) -> dict[str, Any]:
    return {"method": method, "average": {"mean": mean}}


def test_it_says_who_is_ahead_whatever_the_direction() -> None:
    rows = [row("uniform", 0.8), row("mgda", None), row("constant", 0.5), row("boosting", 0.85)]
    said = lead(rows, lower_is_better=False, scale=100)
    assert said == (
        "A simple model is ahead of every other: boosting has 85.00; the best of the others, uniform has 80.00."
    )
    assert str(lead(rows, lower_is_better=True, scale=1)).startswith("A simple model is ahead of every other: constant")
    behind = lead([row("uniform", 0.9), row("linear", 0.7)], lower_is_better=False, scale=100)
    assert behind == "Simple models are behind: the best of them, linear has 70.00; uniform has 90.00."


def test_it_is_silent_without_both_sides() -> None:
    assert lead([row("uniform", 0.8)], lower_is_better=False, scale=1) is None
    assert lead([row("linear", 0.8)], lower_is_better=False, scale=1) is None
