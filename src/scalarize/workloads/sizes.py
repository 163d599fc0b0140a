"""Sizes of a workload's model, stated by the workload itself: the axis of a study of capacity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Size:
    """A model's depth and width as labels (width is a number), and the recipe's settings that make it.

    decoder: the number of decoder layers that tasks share; None for a model without such. family: the recipe's
    ``model.family`` to which the size belongs; None for a workload whose model is of one family.
    """

    depth: Any
    width: Any
    settings: dict[str, Any] = field(default_factory=dict)
    decoder: int | None = None
    family: str | None = None

    @property
    def name(self) -> str:
        """A short label."""
        shared = "" if self.decoder is None else f", {self.decoder} decoder layers shared"
        return f"depth {self.depth}, width {self.width:g}{shared}"


def _by_name(depths: Sequence[Any], widths: Sequence[float], family: str | None = None) -> tuple[Size, ...]:
    """Return all depths x widths, depth first, of a model whose settings have these names."""
    return tuple(Size(d, w, {"model.depth": d, "model.width": w}, family=family) for d in depths for w in widths)


# Royer et al. 2023, section 3.3: the sweeps of its backbones.
VIT = _by_name((3, 6, 9), (0.25, 0.5, 0.75, 1.0))
RESNET = _by_name((26, 50, 101), (0.25, 0.5, 1.0))
DECODERS = tuple(
    Size(26, w, {"model.depth": 26, "model.width": w, "model.shared_decoder": shared}, shared)
    for shared in (4, 2, 0)
    for w in (0.5, 1.0)
)
LAYERS = tuple(Size(d, 1.0, {"model.depth": d}) for d in (1, 2, 3, 4))  # Xin et al. 2022, table 2
# Our choices, for models that the papers do not sweep.
# Pictures of 16 to 32 pixels: 15-fold and more from the smallest to the largest, each within reach of one core.
SMALL = (*_by_name((26, 50), (0.0625, 0.125, 0.25), "resnet"), *_by_name((3, 6), (0.125, 0.25, 0.5), "vit"))
WIDTHS = tuple(Size("default", w, {"model.width": w}) for w in (0.25, 0.5, 1.0))
NARROW = tuple(Size("default", w, {"model.width": w}) for w in (0.0625, 0.125, 0.25))
PERCEPTRON = tuple(Size(d, w, {"model.widths": [w] * d}) for d in (1, 2, 3) for w in (8, 32, 128))
TABULAR = tuple(Size(d, w, {"model.depth": d, "model.width": w}) for d in (1, 2, 4) for w in (32, 64, 128, 256))
CHANNELS = tuple(Size(1, c, {"model.channels": c, "model.features": 6 * c}) for c in (4, 8, 16))
ONLY = (Size("default", 1.0),)
