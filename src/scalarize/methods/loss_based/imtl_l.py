"""IMTL-L: every scaled loss is drawn to 1."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from scalarize.methods.base import Method
from scalarize.methods.checks import losses_of
from scalarize.methods.evidence import Evidence, Needs, State
from scalarize.methods.registry import register


@register
@dataclass(eq=False)
class IMTLL(Method):
    """Minimisation of ``sum_t e^{s_t} L_t - s_t`` with learned ``s`` (T,), from 0 (Liu et al. 2021, section 3.3,
    equation 8). It has no hyper-parameters.

    At the minimum in s every ``e^{s_t} L_t`` is 1, whatever the losses' scales. The balancer steps ``s`` at a learning
    rate of its own, or, with ``learned="yours"``, the training's optimiser does, as in the paper (a = e there).

    Raises:
        RequestError: losses are missing.

    Cost: one ordinary backward; T learned numbers.

    Fails: a loss at or below 0 has no such minimum and s grows without bound; at a small learning rate s follows slowly
    if losses are orders of magnitude from 1, and weight decay pulls it back.
    """

    name = "imtl-l"
    family = "loss-based"
    needs = Needs.LOSSES
    heads = "weighted"
    paper = "Liu et al. 2021"
    learned = ("s",)
    task_axes = {"s": 1}
    has_objective = True

    def init(self, n_tasks: int) -> State:
        return {"s": torch.zeros(n_tasks, dtype=torch.float64)}

    def weigh(self, evidence: Evidence, state: State) -> tuple[Tensor, State]:
        return torch.exp(state["s"].detach()).to(losses_of(evidence, self)), state

    def objective(self, losses: Tensor, state: State) -> Tensor:
        s = state["s"].to(losses)
        return (torch.exp(s) * losses - s).sum()
