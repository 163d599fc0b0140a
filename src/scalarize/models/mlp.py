"""Multi-layer perceptrons for tables of numbers."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn


def mlp(inputs: int, widths: Sequence[int], dropout: float = 0.0) -> nn.Sequential:
    """Linear and ReLU layers of the given ``widths``, with dropout after each where it is above 0."""
    layers: list[nn.Module] = []
    for width in widths:
        layers += [nn.Linear(inputs, width), nn.ReLU()]
        if dropout:
            layers.append(nn.Dropout(dropout))
        inputs = width
    return nn.Sequential(*layers)
