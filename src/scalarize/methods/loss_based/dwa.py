"""Dynamic weight average (DWA): tasks whose loss falls slowly count more."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from scalarize.methods.base import Method
from scalarize.methods.checks import in_range, losses_of, one_choice
from scalarize.methods.evidence import Evidence, Needs, State
from scalarize.methods.registry import register


@register
@dataclass(eq=False)
class DWA(Method):
    """``w = T softmax(r / temperature)``, ``r_t = L_t(k-1) / L_t(k-2)`` (Liu, Johns and Davison 2019, equation 7).

    L(k) is the mean loss over epoch k; the first two epochs have weights 1.

    Args:
        temperature: temperature of the softmax, > 0. Default 2, as in the paper.
        window: number of steps that takes the place of the epoch, as in some implementations (25); 0 means epochs.
            Default 0.
        reduction: ``"sum"``, weights with sum T as in the paper, or ``"mean"``, weights with sum 1 as in some
            implementations. Default ``"sum"``.

    Raises:
        RequestError: a hyper-parameter is out of range, or losses are missing.

    Cost: one ordinary backward; 4 T numbers of state.

    Fails: it sees rates alone, so a large loss still dominates, and a task that cannot learn more gets as much as one
    that is neglected; with a window the noise of few batches makes the rates.

    Our choice: a task that an epoch did not bring keeps its older mean; the balancer leaves out a task whose loss is
    exactly 0, by ``combine_losses`` it has the rate 1. If nobody counts epochs, the balancer takes 25 steps for one.
    """

    name = "dwa"
    family = "loss-based"
    needs = Needs.LOSSES
    heads = "weighted"
    paper = "Liu et al. 2019"
    task_axes = {"sum": 1, "count": 1, "last": 1, "before": 1}
    temperature: float = 2.0
    window: int = 0
    reduction: str = "sum"

    def __post_init__(self) -> None:
        super().__post_init__()
        in_range(self, "temperature", 0.0, open_low=True)
        in_range(self, "window", 0)
        one_choice(self, "reduction", ("sum", "mean"))

    @property
    def counts_epochs(self) -> bool:
        """True unless a window takes their place."""
        return self.window == 0

    @property
    def ignores_zero_losses(self) -> bool:
        """True: a loss of 0 has no rate."""
        return True

    def init(self, n_tasks: int) -> State:
        """sum and count (T,) of this period's losses; last and before (T,): means of the two before it, NaN at first;
        period: which one it is."""
        zeros, unknown = torch.zeros(n_tasks, dtype=torch.float64), torch.full((n_tasks,), float("nan")).double()
        period = torch.zeros((), dtype=torch.int64)
        return {"sum": zeros, "count": zeros.clone(), "last": unknown, "before": unknown.clone(), "period": period}

    def weigh(self, evidence: Evidence, state: State) -> tuple[Tensor, State]:
        losses = losses_of(evidence, self)
        period = evidence.step // self.window if self.window else evidence.epoch
        state = {key: value.to(losses.device) for key, value in state.items()}
        if period != int(state["period"]):
            # A task not seen in the period keeps its older mean.
            seen = state["count"] > 0
            mean = state["sum"] / state["count"].clamp(min=1)
            state["before"] = torch.where(seen, state["last"], state["before"])
            state["last"] = torch.where(seen, mean, state["last"])
            state["sum"], state["count"] = torch.zeros_like(mean), torch.zeros_like(mean)
            state["period"] = torch.full_like(state["period"], period)
        state["sum"] = state["sum"] + losses.double()
        state["count"] = state["count"] + 1
        return self._weights(state).to(losses), state

    def _weights(self, state: State) -> Tensor:
        ratio = state["last"] / state["before"]
        # A loss of exactly 0 has no rate; unknown rates count as 1, so that all unknown gives equal weights.
        ratio = torch.where(torch.isfinite(ratio), ratio, torch.ones_like(ratio))
        total = ratio.numel() if self.reduction == "sum" else 1
        return total * torch.softmax(ratio / self.temperature, dim=0)
