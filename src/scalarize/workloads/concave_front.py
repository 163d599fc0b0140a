"""Two losses of a point in the plane whose Pareto front is known and not convex (Fonseca and Fleming 1995).

``f(x) = 1 - exp(-|x - c|^2)`` with c = (1, 1) / sqrt(2) for the first task and the opposite point for the second. The
Pareto set is the segment between the two; its front bulges towards the worst corner nearly everywhere, so no fixed
weights of a sum have a minimum inside it (Boyd and Vandenberghe 2004, which Royer et al. 2023 cite in section 6). There
is nothing to learn from: a "sample" is the point c itself, the model is x, and all splits are equal.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from scalarize.learners.recipe import OptimizerRecipe, Recipe, ScheduleRecipe
from scalarize.tasks.metrics import Mean
from scalarize.tasks.samples import TensorTable
from scalarize.tasks.task import Data, Domain, Task
from scalarize.workloads.base import Workload
from scalarize.workloads.models.multihead import MultiHead

CENTRES = {"first": 1 / math.sqrt(2), "second": -1 / math.sqrt(2)}
COUNTS = {"train": 64, "validation": 16, "test": 16}
POINTS = 201  # of the front that the data state


def hill(point: Tensor, centre: Tensor) -> Tensor:
    """Return 1 - exp(-|point - centre|^2) of points and centres (B, 2): (B,)."""
    return 1 - torch.exp(-(point - centre).square().sum(1))


class Hill(Mean):
    """The mean of :func:`hill`: the loss itself as the metric."""

    def values(self, prediction: Tensor, target: Tensor) -> Tensor:
        return hill(prediction, target)


class Point(nn.Module):
    """A point (2,), drawn around the origin, that every sample is answered with."""

    def __init__(self, spread: float) -> None:
        super().__init__()
        self.at = nn.Parameter(spread * torch.randn(2))

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the point for each sample: (B, 2)."""
        return self.at.expand(len(inputs), 2)


def front() -> list[tuple[float, float]]:
    """Return points of the front: both losses along the segment between the centres."""
    places = [-1 + 2 * k / (POINTS - 1) for k in range(POINTS)]
    return [(1 - math.exp(-((u - 1) ** 2)), 1 - math.exp(-((u + 1) ** 2))) for u in places]


def load(settings: Mapping[str, Any], root: Path) -> Data:
    """Make the data, which hold nothing but the two centres; ``front`` is stated with them."""
    splits = {
        split: TensorTable(torch.zeros(n, 1), {name: torch.full((n, 2), at) for name, at in CENTRES.items()})
        for split, n in COUNTS.items()
    }
    tasks = [Task(name, 2, _loss, Hill, "hill", higher_is_better=False) for name in CENTRES]
    return Data.multi_task(tasks, Domain("plane", splits), front=front())


def _loss(prediction: Tensor, target: Tensor) -> Tensor:
    return hill(prediction, target).mean()


def build(settings: Mapping[str, Any], data: Data) -> nn.Module:
    """Build the point; tasks have no layers of their own."""
    return MultiHead(Point(settings["spread"]), {t.name: nn.Identity() for t in data.tasks})


WORKLOADS = (
    Workload(
        name="concave-front",
        kind="multi-task",
        objectives=tuple(CENTRES),
        size="two numbers to train",
        provenance="two functions of a point, computed (Fonseca and Fleming 1995)",
        recipe=Recipe(
            optimizer=OptimizerRecipe(name="adam", lr=0.02),
            schedule=ScheduleRecipe(name="cosine"),
            epochs=40,
            batch_size=8,
            selection="last",
            model={"spread": 0.5},
        ),
        load=load,
        build=build,
    ),
)
