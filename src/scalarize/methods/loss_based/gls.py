"""GLS: the geometric mean of the losses."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from scalarize.methods.base import Method
from scalarize.methods.checks import losses_of, positive
from scalarize.methods.evidence import Evidence, Needs, State
from scalarize.methods.registry import register


@register
@dataclass(eq=False)
class GLS(Method):
    """The geometric mean ``(prod_t L_t)^(1/T)`` of the losses (Chennupati et al. 2019, equation 2): weights ``GLS / (T
    L_t)``. It has no hyper-parameters.

    Raises:
        RunError: a loss is below 0.
        RequestError: losses are missing.

    Cost: one ordinary backward.

    Fails: as one loss goes to 0, by overfitting say, its own weight grows without bound and the others' go to 0.

    Our choice: the balancer leaves out a task whose loss is exactly 0; by ``combine_losses`` it counts as the least
    normal number.
    """

    name = "gls"
    family = "loss-based"
    needs = Needs.LOSSES
    heads = "weighted"
    paper = "Chennupati et al. 2019"
    has_objective = True

    @property
    def ignores_zero_losses(self) -> bool:
        """True: a loss of 0 has no logarithm."""
        return True

    def weigh(self, evidence: Evidence, state: State) -> tuple[Tensor, State]:
        logs = torch.log(positive(losses_of(evidence, self), self))
        return torch.exp(logs.mean() - logs) / logs.numel(), state

    def objective(self, losses: Tensor, state: State) -> Tensor:
        return torch.exp(torch.log(positive(losses, self)).mean())
