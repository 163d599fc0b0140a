"""A further metric of a task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from scalarize.tasks import metrics


@dataclass(frozen=True)
class Measure:
    """A further metric of a task: recorded, able to select a checkpoint, and part of no average.

    Args:
        name: name of the metric in records.
        metric: makes a fresh accumulator for a split.
        higher_is_better: direction of the metric. Default True.
        test_only: True for a metric that is too slow for every validation: it is computed once, on the test split, and
            nothing can be selected by it. Default False.

    >>> from scalarize.tasks.metrics import Accuracy
    >>> Measure("accuracy", Accuracy).higher_is_better
    True
    """

    name: str
    metric: Callable[[], metrics.Metric | metrics.Generative]
    higher_is_better: bool = True
    test_only: bool = False
