"""Random gradient drop (RGD): a coin for every task."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from scalarize.methods.base import Method
from scalarize.methods.checks import in_range
from scalarize.methods.evidence import Evidence, Needs, State
from scalarize.methods.registry import register


@register
@dataclass(eq=False)
class RGD(Method):
    """The sum of the losses with weights ``u_t ~ Bernoulli(p)`` (Kurin et al. 2022, proposition 4).

    ``draws`` (T,) are uniform numbers: task t counts if its number is below p.

    Args:
        p: probability that a task counts, in (0, 1]. Default 0.5.

    Raises:
        RequestError: p is outside (0, 1].

    Cost: one ordinary backward.

    Fails: with few tasks or a small p many steps have no task at all and are steps of length 0; it is noise on top of
    the plain sum.

    Our choice: p = 0.5, which the paper leaves open.
    """

    name = "rgd"
    family = "scalarization"
    needs = Needs.NOTHING
    heads = "weighted"
    paper = "Kurin et al. 2022, proposition 4"
    task_axes = {"tasks": 1}
    random = True
    permutation_equivariant = False
    p: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        in_range(self, "p", 0.0, 1.0, open_low=True)

    def init(self, n_tasks: int) -> State:
        """tasks (T,): only their number counts."""
        return {"tasks": torch.zeros(n_tasks, dtype=torch.float64)}

    def weigh(self, evidence: Evidence, state: State) -> tuple[Tensor, State]:
        u = evidence.draws
        if u is None:
            u = torch.empty_like(state["tasks"], device="cpu").uniform_(generator=evidence.generator)
        return (u < self.p).to(torch.float64), state
