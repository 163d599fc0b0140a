"""UW-SO: a softmax of the inverse losses."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from scalarize.methods.base import Method
from scalarize.methods.checks import in_range, losses_of, positive
from scalarize.methods.evidence import Evidence, Needs, State
from scalarize.methods.registry import register


@register
@dataclass(eq=False)
class UWSO(Method):
    """``w = softmax((1 / L) / temperature)``, L held constant (Kirchdorfer et al. 2024, equation 9).

    ``1 / L`` is the analytical optimum of uncertainty weighting.

    Args:
        temperature: temperature of the softmax, > 0, in units of 1 / L. Default 1.

    Raises:
        RequestError: temperature is not above 0, or losses are missing.
        RunError: a loss is below 0.

    Cost: one ordinary backward.

    Fails: the temperature is tuned for each problem in the paper: too small, and the least loss takes all the weight,
    as it also does when one task overfits; too large, and the weights are equal.

    Our choice: temperature 1; the balancer leaves out a task whose loss is exactly 0; by ``combine_losses`` it counts
    as the least normal number.
    """

    name = "uw-so"
    family = "loss-based"
    needs = Needs.LOSSES
    heads = "weighted"
    paper = "Kirchdorfer et al. 2024"
    temperature: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        in_range(self, "temperature", 0.0, open_low=True)

    @property
    def ignores_zero_losses(self) -> bool:
        """True: a loss of 0 has no inverse."""
        return True

    def weigh(self, evidence: Evidence, state: State) -> tuple[Tensor, State]:
        losses = losses_of(evidence, self)
        inverse = 1.0 / positive(losses.double(), self).clamp(min=1e-100)
        return torch.softmax((inverse - inverse.max()) / self.temperature, dim=0).to(losses), state
