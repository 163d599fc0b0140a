"""Budgets scale numbers down, and say so."""

from __future__ import annotations

import pytest

from scalarize.errors import RequestError
from scalarize.studies import budget


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
