"""An encoder as architectures take it apart, and the gates that mix experts."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

SIDE = 8  # gates see maps averaged to at most 8 x 8: a weight for every pixel would outgrow the experts


@dataclass(frozen=True)
class Body:
    """The parts of an encoder, in the order in which inputs pass through them.

    Args:
        prepare: turns inputs into what the first stage takes; all tasks share it in every architecture.
        stages: makers of consecutive stages; each call makes a fresh module.
        shape: shape of one sample as the first stage takes it.
        tail: follows the last stage and has no parameters. Default: nothing.
    """

    prepare: nn.Module
    stages: Sequence[Callable[[], nn.Module]]
    shape: tuple[int, ...]
    tail: nn.Module = field(default_factory=nn.Identity)

    def stage(self, number: int) -> nn.Module:
        """Make a stage anew; the last one has the tail."""
        made = self.stages[number]()
        last = number == len(self.stages) - 1
        return nn.Sequential(made, self.tail) if last and not isinstance(self.tail, nn.Identity) else made

    def encoder(self) -> nn.Module:
        """Make all stages anew, as one module."""
        return nn.Sequential(*(self.stage(number) for number in range(len(self.stages))))


@torch.no_grad()
def shapes(stages: Sequence[nn.Module], shape: Sequence[int]) -> list[tuple[int, ...]]:
    """Return the shapes of one sample before the first of ``stages`` and after each."""
    x, found = torch.zeros(1, *shape), [tuple(shape)]
    for stage in stages:
        training = stage.training
        x = stage.eval()(x)
        stage.train(training)
        found.append(tuple(x.shape[1:]))
    return found


def seen(x: Tensor) -> Tensor:
    """Return what a linear gate sees of ``x``: of maps (B, C, H, W) averages, at most 8 x 8 of them; else ``x``."""
    if x.ndim != 4:
        return x
    return functional.adaptive_avg_pool2d(x, (min(x.shape[2], SIDE), min(x.shape[3], SIDE))).flatten(1)


def size(shape: Sequence[int]) -> int:
    """Return the number of features of a sample of ``shape`` that a gate sees."""
    return math.prod((shape[0], *(min(s, SIDE) for s in shape[1:]))) if len(shape) == 3 else shape[-1]


class Gate(nn.Module):
    """The softmax of a linear map of what the experts are given: weights of the experts for each sample.

    Rows of several vectors (B, M, d), as the members of an ensemble or the tokens of a transformer, have weights
    (B, M, experts) of their own if experts keep the M vectors apart; else their mean is seen.

    Args:
        inputs: shape of one sample that the gate sees.
        outputs: shape of one sample that an expert returns.
        experts: number of experts.
    """

    def __init__(self, inputs: Sequence[int], outputs: Sequence[int], experts: int) -> None:
        super().__init__()
        self.map = nn.Linear(size(inputs), experts)
        self.averaged = len(inputs) == 2 and len(outputs) != 2

    def logits(self, x: Tensor) -> Tensor:
        """Return the linear map, before the softmax."""
        found: Tensor = self.map(seen(x.mean(1) if self.averaged else x))
        return found

    def forward(self, x: Tensor) -> Tensor:
        return self.logits(x).softmax(-1)


def mix(weights: Tensor, experts: Sequence[Tensor]) -> Tensor:
    """Return the weighted sum of the experts' outputs.

    Args:
        weights: (B, experts); or (B, M, experts), of M vectors in each sample.
        experts: outputs (B, ...) of each; or (B, M, ...).
    """
    stacked = torch.stack(list(experts))
    if weights.ndim == 2:
        return torch.einsum("be,eb...->b...", weights, stacked)
    return torch.einsum("bme,ebm...->bm...", weights, stacked)
