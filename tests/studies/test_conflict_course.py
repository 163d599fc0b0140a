"""Conflicts "towards the end" of a training are judged by the trend of enough epochs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from scalarize.studies.royer2023 import conflicts


def found(shares: list[float]) -> Any:
    """Three seeds with even weights whose share of conflicts has this course."""
    place = dict.fromkeys(conflicts.LABELS, 1) | {"method": "uniform", "split": "train"}
    rows, results = [], []
    for seed in range(3):
        run = place | {"run": f"r{seed}", "seed": seed}
        results.append(run | {"task": "a", "sign": 1, "test": 0.5 + 0.01 * seed, "validation": 0.5})
        for epoch, share in enumerate(shares, 1):
            value = share + 0.001 * seed * epoch
            rows += [run | {"epoch": epoch, "task": "a|b", "metric": "conflict", "value": value}]
            rows += [run | {"epoch": epoch, "task": "a", "metric": "loss", "value": 1.0}]
    context = SimpleNamespace(data=SimpleNamespace(objectives=[]))
    return SimpleNamespace(curves=pd.DataFrame(rows), results=pd.DataFrame(results), context=context)


@pytest.mark.parametrize(
    ("shares", "verdict"),
    [
        ([0.1, 0.2, 0.3], "undecided"),  # three epochs are too few, however steep
        ([0.3, 0.2, 0.1], "undecided"),
        ([0.1 + 0.02 * e for e in range(8)], "supported"),
        ([0.4 - 0.02 * e for e in range(8)], "not supported"),
        ([0.1, *[0.5 - 0.05 * e for e in range(8)], 0.2], "not supported"),  # the last exceeds the first
    ],
)
def test_towards_the_end_is_the_trend_of_eight_epochs_or_more(shares: list[float], verdict: str) -> None:
    *_, table = conflicts.curves(found(shares))
    own = table.frame[table.frame["claim"] == conflicts.TOWARDS]
    assert own["verdict"].tolist() == [verdict]
    assert bool(own["why"].iloc[0]) == (len(shares) < conflicts.ENOUGH)
