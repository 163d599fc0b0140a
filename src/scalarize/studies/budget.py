"""Budgets: the paper's size of a study or less of it, and sentences about what was left out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from scalarize.utils.errors import RequestError

V = TypeVar("V")


@dataclass(frozen=True)
class Budget:
    """At most so many seeds, epochs, values on an axis, and members of a population; None: as the paper.

    fraction: in place of these bounds, the share of each number.
    """

    name: str
    seeds: int | None = None
    epochs: int | None = None
    levels: int | None = None
    population: int | None = None
    fraction: float = 1.0

    def count(self, wanted: int, bound: int | None) -> int:
        """``wanted``, bounded and scaled, at least 1."""
        return max(1, round(min(wanted, bound or wanted) * self.fraction))

    def thin(self, values: Sequence[V], finer: int = 1) -> list[V]:
        """Evenly spread values of an axis, its first and last among them if at least 2 are left.

        finer: this many times the intervals that the budget leaves.
        """
        kept = self.count(len(values), finer * (self.levels - 1) + 1 if self.levels else None)
        kept = min(len(values), max(kept, 2))
        if kept == len(values):
            return list(values)
        return [values[round(k * (len(values) - 1) / (kept - 1))] for k in range(kept)]

    def first(self, values: Sequence[V]) -> list[V]:
        """The first values of a list that is no axis (pairs of tasks), at least one."""
        return list(values[: self.count(len(values), self.levels)])

    def members(self, wanted: int) -> int:
        """The size of a population, at least 2."""
        return max(2, self.count(wanted, self.population))


BUDGETS = {
    "tiny": Budget("tiny", seeds=1, epochs=2, levels=2, population=3),
    "small": Budget("small", seeds=3, epochs=12, levels=3, population=12),
    "full": Budget("full"),
}


def parse(text: str) -> Budget:
    """The budget ``tiny``, ``small`` or ``full``, or a share in (0, 1] of the paper's numbers.

    Raises:
        RequestError: the text is anything else.
    """
    if text in BUDGETS:
        return BUDGETS[text]
    try:
        share = float(text)
    except ValueError:
        share = math.nan
    if not 0 < share <= 1:
        raise RequestError(f"`budget` {text}: choose {', '.join(BUDGETS)}, or a share of the paper's in (0, 1]")
    return Budget(text, fraction=share)


def scaled(full: Sequence[Mapping[str, Any]], here: Sequence[Mapping[str, Any]]) -> list[str]:
    """Differences between the labels of two lists of runs, one sentence each; empty if there are none. A label that a
    run does not have, or has empty, counts for nothing.

    >>> scaled([{"seed": 0, "width": 8}, {"seed": 1, "width": 16}], [{"seed": 0, "width": 8}])
    ['runs: 2 -> 1', 'seed: 2 values -> 1', 'width: 2 values (8, 16) -> 1 (8)']
    """
    lines = [f"runs: {len(full)} -> {len(here)}"] if len(full) != len(here) else []
    for key in dict.fromkeys(k for labels in full for k in labels):
        named = ([labels.get(key) for labels in side] for side in (full, here))
        before, after = (list(dict.fromkeys(_text(v) for v in values if v not in (None, ""))) for values in named)
        if before != after:
            shown = [f"({', '.join(v)})" if key != "seed" and len(v) <= 12 else "" for v in (before, after)]
            lines.append(f"{key}: {len(before)} values {shown[0]}".rstrip() + f" -> {len(after)} {shown[1]}".rstrip())
    return lines


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
