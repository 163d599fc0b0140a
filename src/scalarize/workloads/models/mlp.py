"""Multi-layer perceptrons for tables of numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from torch import nn

from scalarize.workloads.models.sharing.body import Body
from scalarize.workloads.models.sharing.build import share


def mlp(inputs: int, widths: Sequence[int], dropout: float = 0.0) -> nn.Sequential:
    """Build linear and ReLU layers of the given ``widths``, with dropout after each if it is above 0."""
    return nn.Sequential(*(layer for make in stages(inputs, widths, dropout) for layer in make()))


def stages(inputs: int, widths: Sequence[int], dropout: float = 0.0) -> list[Callable[[], nn.Sequential]]:
    """Return the makers of the layers of each width."""
    return [partial(_stage, a, b, dropout) for a, b in zip((inputs, *widths), widths, strict=False)]


def _stage(inputs: int, outputs: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, outputs), nn.ReLU(), *([nn.Dropout(dropout)] if dropout else []))


def multi_head_mlp(
    inputs: int, outputs: Mapping[str, int], settings: Mapping[str, Any], paths: Sequence[str] | None = None
) -> nn.Module:
    """Build a perceptron, shared as ``settings`` say, and one linear head per task (task -> number of outputs).

    Args:
        inputs: number of columns.
        outputs: task -> number of outputs.
        settings: ``widths`` and ``dropout``, and those of the architecture, see :func:`share`.
        paths: names of the domains that one task is learned on. Default None: several tasks.
    """
    widths, dropout = settings["widths"], settings["dropout"]
    heads = {task: nn.Linear(widths[-1], size) for task, size in outputs.items()}

    def body() -> Body:
        return Body(nn.Identity(), stages(inputs, widths, dropout), (inputs,))

    return share(settings, lambda: mlp(inputs, widths, dropout), body, lambda: heads, paths)
