"""Axes that a study sweeps on any workload: model sizes, pairs, learning rates; read off its recipe and objectives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from scalarize.errors import RequestError
from scalarize.training import Problem
from scalarize.workloads import Workload


@dataclass(frozen=True)
class Size:
    """A model's depth and width as labels, and the settings that make it."""

    depth: Any
    width: Any
    settings: dict[str, Any]

    @property
    def name(self) -> str:
        """A short label."""
        return f"depth {self.depth}, width {self.width:g}"


FAMILIES = {  # the paper's own sweeps of its backbones
    "vit": ((3, 6, 9), (0.25, 0.5, 0.75, 1.0)),
    "resnet": ((26, 50, 101), (0.25, 0.5, 1.0)),
}
PERCEPTRON = ((1, 2, 3), (8, 32, 128))  # our choice
CHANNELS = (4, 8, 16)  # our choice


def sizes(workload: Workload) -> list[Size]:
    """All depths x widths of the workload's architecture, depth first; its one size where it knows none."""
    model = workload.recipe.model
    if "shared" in model:  # encoder and decoders: the depth is how many decoder layers are shared
        return [Size(d, w, {"model.shared": d, "model.width": w}) for d in (4, 2, 0) for w in (0.5, 1.0)]
    if model.get("family") in FAMILIES:
        depths, widths = FAMILIES[model["family"]]
        return [Size(d, w, {"model.depth": d, "model.width": w}) for d in depths for w in widths]
    if "widths" in model:
        return [Size(d, w, {"model.widths": [w] * d}) for d in PERCEPTRON[0] for w in PERCEPTRON[1]]
    if "channels" in model and "features" in model:
        return [Size(1, c, {"model.channels": c, "model.features": 6 * c}) for c in CHANNELS]
    return [Size("default", 1.0, {})]


def several_sizes(workload: Workload) -> list[Size]:
    """As :func:`sizes`. Raises RequestError where the workload's model has one size only."""
    found = sizes(workload)
    if len(found) < 2:
        raise RequestError(f"--workload {workload.name}: its model has no setting for depth or width to sweep")
    return found


def largest(workload: Workload) -> Size:
    """The last size."""
    return sizes(workload)[-1]


def pairs(workload: Workload, names: list[str]) -> list[tuple[str, str]]:
    """The reference domain (else the first task) with each of the others. Raises RequestError for fewer than two."""
    if len(names) < 2:
        raise RequestError(f"--workload {workload.name}: a pair needs two tasks or domains, it has {', '.join(names)}")
    first = workload.reference if workload.reference in names else names[0]
    return [(str(first), name) for name in names if name != first]


def with_settings(problem: Problem, more: dict[str, Any], **fields: Any) -> Problem:
    """The problem with further settings of the recipe, and other fields."""
    return problem.model_copy(update={"settings": dict(problem.settings) | more, **fields})


def rates(base: float, factors: tuple[float, ...]) -> list[float]:
    """Learning rates around ``base``, rounded to three digits."""
    return [float(f"{base * f:.3g}") for f in factors]
