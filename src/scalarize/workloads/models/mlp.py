"""Multi-layer perceptrons for tables of numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import nn

from scalarize.workloads.models.multihead import MultiHead, SharedHead


def mlp(inputs: int, widths: Sequence[int], dropout: float = 0.0) -> nn.Sequential:
    """Build linear and ReLU layers of the given ``widths``, with dropout after each if it is above 0."""
    layers: list[nn.Module] = []
    for width in widths:
        layers += [nn.Linear(inputs, width), nn.ReLU()]
        if dropout:
            layers.append(nn.Dropout(dropout))
        inputs = width
    return nn.Sequential(*layers)


def multi_head_mlp(
    inputs: int, outputs: Mapping[str, int], widths: Sequence[int], dropout: float, shared_head: bool = False
) -> MultiHead:
    """Build a shared perceptron and one linear head per task (task -> number of outputs).

    ``shared_head``: the heads belong to the shared parameters, as when one task is learned on several domains.
    """
    heads = {task: nn.Linear(widths[-1], size) for task, size in outputs.items()}
    return (SharedHead if shared_head else MultiHead)(mlp(inputs, widths, dropout), heads)
