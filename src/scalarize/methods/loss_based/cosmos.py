"""COSMOS: a weighted sum of the losses, and a reward for losses along the preference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from scalarize.methods import preference
from scalarize.methods.base import Method
from scalarize.methods.checks import in_range, losses_of, slopes
from scalarize.methods.evidence import Evidence, Needs, State
from scalarize.methods.registry import register


@register
@dataclass(eq=False)
class COSMOS(Method):
    """``r.L - lambda cos(r, L)`` with the preference r (Ruchte and Grabocka 2021, equation 5).

    The paper trains one network for all preferences, which it is given beside its inputs; this is its objective, for
    one preference.

    Args:
        lambda_: lambda, >= 0, in the unit of the losses. Default 2, the paper's for Multi-MNIST (it has 0.01 to 8).
        preference: T numbers >= 0, normalised to sum 1. Default: all the same.

    Raises:
        RequestError: lambda_ is negative, the preference is negative, all 0 or of another length than T, or losses are
            missing.

    Cost: one ordinary backward.

    Fails: the two terms pull apart: the sum makes the loss of a task with a large entry small, the cosine makes it as
    large as the entry. With a large lambda the cosine wins, and weights turn negative. Its derivative has the size
    lambda / |L|, so as the losses fall it decides more and more.
    """

    name = "cosmos"
    family = "loss-based"
    needs = Needs.LOSSES
    heads = "weighted"
    paper = "Ruchte and Grabocka 2021"
    has_objective = True
    task_axes = {"preference": 1}
    lambda_: float = 2.0
    preference: Sequence[float] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        in_range(self, "lambda_", 0.0)
        preference.check(self)

    def init(self, n_tasks: int) -> State:
        return preference.entry(self, n_tasks)

    def weigh(self, evidence: Evidence, state: State) -> tuple[Tensor, State]:
        return slopes(self, losses_of(evidence, self), state), state

    def objective(self, losses: Tensor, state: State) -> Tensor:
        wanted = preference.tensor_shares(state, losses)
        return wanted @ losses - self.lambda_ * torch.nn.functional.cosine_similarity(wanted, losses, dim=0)
