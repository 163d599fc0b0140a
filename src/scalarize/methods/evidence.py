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
    """The evidence of one step, as far as the method needs it. All tensors are detached.

    Args:
        losses: losses (T,). Default: none.
        gramian: inner products (T, T) of the tasks' gradients. Default: none.
        jacobian: gradients (T, P) of the tasks, one row per task. Default: none.
        step: number of the step, from 0. Default 0.
        epoch: number of the epoch, from 0. Default 0.
        generator: source of randomness. Default: torch's own.
        draws: random numbers that replace it, as the method documents them. Default: none.
        extra: evidence of further batches. Default: none.
        width: last axis d of the representation, if the rows of the Jacobian are gradients by it, sample after sample.
            Default: none.
        gramian64: makes the Gramian (T, T) anew in float64; None if that is not possible (or it is in float64 already).

    >>> Evidence.of_jacobian(torch.tensor([[1.0, 0.0], [-1.0, 1.0]])).gramian.tolist()
    [[1.0, -1.0], [-1.0, 2.0]]
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
        """Make the evidence of a Jacobian.

        Args:
            jacobian: gradients (T, P), one row per task.

        Returns:
            The Jacobian and its Gramian (T, T), in float64.
        """
        rows = precise(jacobian)
        return cls(gramian=rows @ rows.T, jacobian=rows)


def precise(tensor: Tensor) -> Tensor:
    """Return ``tensor`` detached, and in float64 if the device has it."""
    return tensor.detach() if tensor.device.type == "mps" else tensor.detach().double()


class CombinedGradient(NamedTuple):
    """The gradient of one step, and its weights.

    Attributes:
        gradient: the vector (P,) that goes into ``.grad``.
        weights: weights (T,); None if the gradient is no weighted sum.
    """

    gradient: Tensor
    weights: Tensor | None


class CombinedLoss(NamedTuple):
    """The total loss of one step, and its weights.

    Attributes:
        loss: a differentiable scalar.
        weights: derivatives (T,) of it by the losses, detached.
    """

    loss: Tensor
    weights: Tensor
