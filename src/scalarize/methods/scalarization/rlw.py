"""Random loss weighting (RLW)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from scalarize.methods.base import Method
from scalarize.methods.checks import flag, one_choice
from scalarize.methods.evidence import Evidence, Needs, State
from scalarize.methods.registry import register


@register
@dataclass(eq=False)
class RLW(Method):
    """Weights drawn anew at each step, with sum 1 (Lin et al. 2022, section 3; algorithm 1).

    ``draws`` (T,) replaces the normal draws, or the exponential ones that make the Dirichlet point.

    Args:
        distribution: ``"normal"``, the softmax of T standard normal draws, or ``"dirichlet"``, a point drawn uniformly
            from the simplex. Default ``"normal"``.
        times_tasks: if True, the weights sum to T, as in one public implementation. Default False.

    Raises:
        RequestError: the distribution is unknown.

    Cost: one ordinary backward.

    Fails: the expected weights are equal, so losses on different scales stay so, and the draws add variance to each
    step (Kurin et al. 2022 explain its effect as regularisation).
    """

    name = "rlw"
    family = "scalarization"
    needs = Needs.NOTHING
    heads = "weighted"
    paper = "Lin et al. 2022"
    task_axes = {"tasks": 1}
    random = True
    permutation_equivariant = False
    distribution: str = "normal"
    times_tasks: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        one_choice(self, "distribution", ("normal", "dirichlet"))
        flag(self, "times_tasks")

    def init(self, n_tasks: int) -> State:
        """tasks (T,): only their number counts."""
        return {"tasks": torch.zeros(n_tasks, dtype=torch.float64)}

    def weigh(self, evidence: Evidence, state: State) -> tuple[Tensor, State]:
        x = torch.empty_like(state["tasks"], device="cpu")
        if self.distribution == "normal":
            x = x.normal_(generator=evidence.generator) if evidence.draws is None else evidence.draws
            return self._total(x) * torch.softmax(x, dim=0), state
        x = x.exponential_(generator=evidence.generator) if evidence.draws is None else evidence.draws
        return self._total(x) * x / x.sum(), state

    def _total(self, x: Tensor) -> int:
        return len(x) if self.times_tasks else 1
