"""GradNorm: gradient norms are drawn to a common scale, larger for tasks that train slowly."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from scalarize.methods.base import Evidence, Method, Needs, State
from scalarize.methods.checks import in_range, losses_of, one_choice
from scalarize.methods.registry import register


@register
@dataclass(eq=False)
class GradNorm(Method):
    """Loss weights w (T,) with sum T that descend on ``sum_t |w_t n_t - mean(w n) r_t^alpha|`` (Chen et al. 2018,
    equations 1 and 2, algorithm 1); n are the gradients' norms, r the relative inverse training rates ``(L_t / L_t(0))
    / mean(...)``, and the target is held constant.

    alpha: 1.5 (the paper's NYU-v2 runs; 2 in one implementation); lr: 0.025, >= 0, plain gradient descent. form:
    ``"free"`` weights, scaled to sum T after each step (the paper), or ``"softmax"``, ``w = T softmax(logits)`` (used
    too where the state is given ``logits`` by hand). floor: the least weight after a step of the free form, in [0, 1],
    or None, the default.

    The step uses the weights as they are and updates them for the next. Norms are those of the gradients given: the
    paper takes them on the last shared layer, which is the balancer's ``evidence_from``, other code on all shared
    parameters, which is our default.

    Cost: T backwards (to the last shared layer only, with ``evidence_from``) and T x P numbers of what they reach.

    Fails: the paper's rule lets weights turn negative where gradients are large against 1/lr (set ``floor`` or
    ``"softmax"``); L(0) is one batch, so an unlucky first loss biases the whole run.

    Raises: RequestError for a negative lr, another form, a floor outside [0, 1], or without losses.

    Our choice: lr = 0.025; a sum of weights of exactly 0 leaves them as they were.
    """

    name = "gradnorm"
    family = "gradient-based"
    needs = Needs.GRAMIAN
    heads = "weighted"
    paper = "Chen et al. 2018"
    task_axes = {"weights": 1, "logits": 1, "initial_losses": 1}
    alpha: float = 1.5
    lr: float = 0.025
    form: str = "free"
    floor: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        in_range(self, "lr", 0.0)
        one_choice(self, "form", ("free", "softmax"))
        if self.floor is not None:
            in_range(self, "floor", 0.0, 1.0)

    def init(self, n_tasks: int) -> State:
        """weights or logits (T,); initial_losses (T,), NaN until seen."""
        unknown = torch.full((n_tasks,), float("nan"), dtype=torch.float64)
        if self.form == "softmax" or "logits" in self.state:
            return {"logits": torch.zeros(n_tasks, dtype=torch.float64), "initial_losses": unknown}
        return {"weights": torch.ones(n_tasks, dtype=torch.float64), "initial_losses": unknown}

    def weigh(self, evidence: Evidence, state: State) -> tuple[Tensor, State]:
        assert evidence.gramian is not None
        norms = evidence.gramian.double().diagonal().clamp(min=0).sqrt()
        losses = losses_of(evidence, self).double()
        state = {key: value.to(norms) for key, value in state.items()}
        initial = torch.where(torch.isnan(state["initial_losses"]), losses, state["initial_losses"])
        weights = self._weights(state)
        gradient = self._gradient(weights, norms, losses, initial)
        after = {**state, "initial_losses": initial}
        if "logits" in state:
            # d w_k / d logit_j = w_k (1[k = j] - w_j / T)
            pull = weights * (gradient - (weights * gradient).mean())
            after["logits"] = state["logits"] - self.lr * pull
        else:
            moved = weights - self.lr * gradient
            moved = moved if self.floor is None else moved.clamp(min=self.floor)
            # A sum of 0 cannot be scaled to T: the weights stay as they were.
            total = moved.sum()
            after["weights"] = moved * moved.numel() / total if bool(total != 0) else weights
        return weights.to(evidence.gramian), after

    def _weights(self, state: State) -> Tensor:
        if "logits" in state:
            return state["logits"].numel() * torch.softmax(state["logits"], dim=0)
        return state["weights"]

    def _gradient(self, weights: Tensor, norms: Tensor, losses: Tensor, initial: Tensor) -> Tensor:
        """The derivative (T,) of equation 2 by the weights."""
        weighted = weights * norms
        progress = torch.where(initial != 0, losses / initial, torch.ones_like(losses))
        average = progress.mean()
        rate = progress / average if bool(average > 0) else torch.ones_like(progress)
        target = weighted.mean() * rate.clamp(min=0) ** self.alpha
        return torch.sign(weighted - target) * norms
