"""Tidy rows as named numbers over steps. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol


class Scalar(NamedTuple):
    """A named number at a step; ``name`` is split/metric/task, so that a metric's tasks are drawn side by side."""

    name: str
    step: int
    value: float


class Writer(Protocol):
    """A writer of one run to one tool."""

    def write(self, found: Sequence[Scalar]) -> None:
        """Write scalars, whose steps do not decrease within a run unless it was resumed."""

    def close(self) -> None:
        """Finish the run there."""


def scalars(rows: Iterable[Mapping[str, Any]]) -> list[Scalar]:
    """Convert rows to scalars, in order; rows without a finite value are left out.

    >>> row = {"step": 40, "epoch": 1, "split": "validation", "domain": "all", "task": "a", "metric": "loss"}
    >>> scalars([row | {"value": 0.5}, row | {"value": float("nan")}])
    [Scalar(name='validation/loss/a', step=40, value=0.5)]
    """
    return [
        Scalar(f"{row['split']}/{row['metric']}/{row['task']}", int(row["step"]), float(row["value"]))
        for row in rows
        if row["value"] is not None and math.isfinite(row["value"])
    ]
