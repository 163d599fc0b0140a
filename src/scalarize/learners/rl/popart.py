"""PopArt (van Hasselt et al. 2016; Hessel et al. 2019 for several tasks): values of each task on a scale of its own.

Critics give a normalised value for each task; mean and deviation of a task's targets turn it into one in units of
rewards. When these statistics move, the last layers move against them, so that every value stays what it was.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

LEAST, MOST = 1e-4, 1e6  # of a deviation, as published


class PopArt(nn.Module):
    """Mean and deviation of the targets of ``tasks`` tasks, moving averages with coefficient ``rate``."""

    def __init__(self, tasks: int, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.mean: Tensor
        self.square: Tensor
        self.register_buffer("mean", torch.zeros(tasks))
        self.register_buffer("square", torch.ones(tasks))

    @property
    def deviation(self) -> Tensor:
        """Return the deviation of each task's targets (T,)."""
        return (self.square - self.mean.square()).clamp_min(LEAST**2).sqrt().clamp(LEAST, MOST)

    @torch.no_grad()
    def follow(self, targets: Tensor, layers: Iterable[nn.Linear]) -> None:
        """Move the statistics towards ``targets`` (T, B), and ``layers`` (T outputs each) so that no value changes."""
        mean, deviation = self.mean.clone(), self.deviation
        self.mean.lerp_(targets.mean(-1), self.rate)
        self.square.lerp_(targets.square().mean(-1), self.rate)
        now = self.deviation
        for layer in layers:
            layer.weight.mul_((deviation / now)[:, None])
            layer.bias.mul_(deviation).add_(mean - self.mean).div_(now)
