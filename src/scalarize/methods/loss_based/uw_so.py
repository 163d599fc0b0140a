"""UW-SO: a softmax of the inverse losses."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from scalarize.methods.base import Evidence, Method, Needs, State
from scalarize.methods.checks import in_range, losses_of, positive
from scalarize.methods.registry import register


@register
@dataclass(eq=False)
class UWSO(Method):
    """``w = softmax((1 / L) / temperature)``, L held constant (Kirchdorfer et al. 2024, equation 9).

    ``1 / L`` is the analytical optimum of uncertainty weighting. temperature: tuned in the paper; 1 is our default.
    The losses must be > 0; one that is exactly 0 counts as the least normal number. Raises RunError below 0.
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

    def weigh(self, evidence: Evidence, state: State) -> tuple[Tensor, State]:
        losses = losses_of(evidence, self)
        inverse = 1.0 / positive(losses.double(), self).clamp(min=1e-100)
        return torch.softmax((inverse - inverse.max()) / self.temperature, dim=0).to(losses), state
