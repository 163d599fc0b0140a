"""Grid search over two or three weights."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from scalarize.search.algorithms.base import Algorithm, Generation, History, first_generation
from scalarize.search.algorithms.registry import register
from scalarize.search.space import Array
from scalarize.utils.errors import RequestError
from scalarize.weights import simplex


@register
@dataclass(eq=False, kw_only=True)
class GridSearch(Algorithm):
    """Full trainings at the points of the finest regular grid of at most N points (N: ``population``).

    The grid lies inside the simplex (for two tasks 1/(N+1), ..., N/(N+1), as in Royer et al. 2023, section 4.1) and
    is tilted by the centre: weights are proportional to centre times grid point, so that on raw losses of different
    scales it covers what matters (our choice; with a uniform centre it is the plain grid).
    """

    name = "grid"
    unused = ("ready", "quantile", "spread")
    paper = "Royer et al. 2023, section 4.1"

    def __post_init__(self) -> None:
        dimension = self.setting.space.dimension
        if dimension not in (2, 3):
            raise RequestError(f"grid searches 2 or 3 weights, not {dimension}: choose another algorithm, or groups")
        if self.setting.space.also:
            raise RequestError("grid searches weights alone: drop `also`, or choose another algorithm")

    @property
    def points(self) -> Array:
        """Coordinates (M, D) of the grid, M at most N."""
        center, steps = self.setting.space.center_point, 0
        while math.comb(steps + center.size, center.size - 1) <= self.setting.population:
            steps += 1
        # Shifted inwards by one step on every side, so that no task has weight 0.
        inner = [(point * steps + 1) / (steps + center.size) for point in simplex.grid(center.size, max(steps, 1))]
        return simplex.normalise_rows(np.array(inner if steps else [simplex.uniform(center.size)]) * center)

    def propose(self, history: History) -> Generation | None:
        if history:
            return None
        weights = self.setting.space.expand(self.points)
        return first_generation(self.setting, len(weights), self.setting.epochs, weights, {}, keep=False)

    @property
    def total_epochs(self) -> int:
        return len(self.points) * self.setting.epochs
