"""The evidence that a method is given at one step, and the two forms of its answer."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

State = dict[str, Tensor]


class Needs(enum.IntEnum):
    """The evidence that a method must see before it can weigh, ordered by cost."""

    NOTHING = 0  # weights are known before the batch is drawn: they may serve as sampling rates
    LOSSES = 1  # T numbers: one ordinary backward pass
    GRAMIAN = 2  # G = J J^T, (T, T): T backward passes, then small mathematics
    JACOBIAN = 3  # J itself, (T, P): the result is not a function of G alone


@dataclass(frozen=True)
class Evidence:
    """All that a method is told at one step. All tensors are detached.

    losses (T,); gramian (T, T) if needed; jacobian (T, P) if needed; step and epoch count from 0;
    generator: source of randomness; draws: replaces it (tests); extra: evidence of further batches; width: the last
    axis of the representation, if the rows of the Jacobian are gradients by it, sample after sample; gramian64: makes
    the Gramian (T, T) anew in float64, None if it cannot be had (or is in float64 already).
    """

    losses: Tensor | None = None
    gramian: Tensor | None = None
    jacobian: Tensor | None = None
    step: int = 0
    epoch: int = 0
    generator: torch.Generator | None = None
    draws: Tensor | None = None
    extra: tuple[Evidence, ...] = ()
    width: int | None = None
    gramian64: Callable[[], Tensor] | None = None

    @classmethod
    def of_jacobian(cls, jacobian: Tensor) -> Evidence:
        """A Jacobian (T, P) and its Gramian, in float64."""
        rows = precise(jacobian)
        return cls(gramian=rows @ rows.T, jacobian=rows)


def precise(tensor: Tensor) -> Tensor:
    """Detached, and in float64 if the device has it."""
    return tensor.detach() if tensor.device.type == "mps" else tensor.detach().double()


class CombinedGradient(NamedTuple):
    """gradient (P,): what goes into ``.grad``; weights (T,), or None if no weights exist."""

    gradient: Tensor
    weights: Tensor | None


class CombinedLoss(NamedTuple):
    """loss: a differentiable scalar; weights (T,): its derivative by each loss, detached."""

    loss: Tensor
    weights: Tensor
