"""GradNorm: gradient norms are drawn to a common scale, larger for tasks that train slowly."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from scalarize.methods.base import Method
from scalarize.methods.checks import in_range, losses_of, one_choice
from scalarize.methods.evidence import Evidence, Needs, State
from scalarize.methods.registry import register
from scalarize.utils.errors import RequestError

# form -> the state entry that descends
ENTRIES = {"positive": "log_weights", "free": "weights", "softmax": "logits"}


@register
@dataclass(eq=False)
class GradNorm(Method):
    """Loss weights w (T,) with sum T that descend on ``sum_t |w_t n_t - mean(w n) r_t^alpha|`` (Chen et al. 2018,
    equations 1 and 2, algorithm 1); n are the gradients' norms, r the relative inverse training rates ``(L_t / L_t(0))
    / mean(...)``, and the target is held constant.

    The form says which numbers descend, and how the sum stays T:

    - ``"positive"``: ``log w``, on the objective over ``mean(w n)``, so that one step changes a weight by a factor of
      at most ``exp(2 lr T)`` whatever the losses' units; no weight ever reaches 0;
    - ``"free"``: w itself, scaled to sum T after each step, as the paper writes it;
    - ``"softmax"``: the logits of ``w = T softmax(logits)``, as in other code.

    A state that is given ``weights`` or ``logits`` by hand (or from an older checkpoint) goes on in their form.

    The step uses the weights as they are and updates them for the next. Norms are those of the gradients given: the
    paper takes them on the last shared layer, which is the balancer's ``evidence_from``, other code on all shared
    parameters, which is our default.

    Args:
        alpha: exponent of the training rates. Default 1.5, as in the paper's NYU-v2 runs (2 in one implementation).
        lr: learning rate of plain gradient descent, >= 0. Default 0.025.
        form: ``"positive"``, ``"free"`` or ``"softmax"``. Default ``"positive"``.
        floor: least weight after a step of the free or the positive form, before scaling to sum T, in [0, 1]. Default:
            none.

    Raises:
        RequestError: lr is negative, the form is unknown, floor is outside [0, 1] or given with ``"softmax"``, or
            losses are missing.

    Cost: T backwards (to the last shared layer only, with ``evidence_from``) and T x P numbers of what they reach.

    Fails: L(0) is one batch, so an unlucky first loss biases the whole run; with ``"free"`` weights turn negative if
    gradients are large against 1/lr, and that task's loss is then climbed.

    Our choice: lr = 0.025. The positive form: the paper means weights of losses that add up to T, and its rule keeps
    them above 0 only if lr times the norms is small; public code that meets larger ones trains the logarithm, too. A
    sum of free weights of exactly 0 leaves them as they were.
    """

    name = "gradnorm"
    family = "gradient-based"
    needs = Needs.GRAMIAN
    heads = "weighted"
    paper = "Chen et al. 2018"
    task_axes = {"weights": 1, "logits": 1, "log_weights": 1, "initial_losses": 1}
    alpha: float = 1.5
    lr: float = 0.025
    form: str = "positive"
    floor: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        in_range(self, "lr", 0.0)
        one_choice(self, "form", tuple(ENTRIES))
        if self.floor is not None:
            in_range(self, "floor", 0.0, 1.0)
            if self.form == "softmax":
                raise RequestError("gradnorm: floor= is for the positive and the free form")

    def init(self, n_tasks: int) -> State:
        """weights, logits or log_weights (T,); initial_losses (T,), NaN until seen."""
        given = [key for key in ("logits", "weights") if key in self.state]
        entry = given[0] if given else ENTRIES[self.form]
        start = torch.full((n_tasks,), float(entry == "weights"), dtype=torch.float64)
        return {entry: start, "initial_losses": torch.full((n_tasks,), float("nan"), dtype=torch.float64)}

    def weigh(self, evidence: Evidence, state: State) -> tuple[Tensor, State]:
        assert evidence.gramian is not None
        norms = evidence.gramian.double().diagonal().clamp(min=0).sqrt()
        losses = losses_of(evidence, self).double()
        state = {key: value.to(norms) for key, value in state.items()}
        initial = torch.where(torch.isnan(state["initial_losses"]), losses, state["initial_losses"])
        weights = _weights(state)
        gradient = self._gradient(weights, norms, losses, initial)
        after = {**state, "initial_losses": initial, **self._descend(weights, gradient, norms, state)}
        return weights.to(evidence.gramian), after

    def _descend(self, weights: Tensor, gradient: Tensor, norms: Tensor, state: State) -> State:
        """The entry that descends, after one step along ``gradient`` (T,), the objective's by the weights."""
        if "weights" in state:
            moved = weights - self.lr * gradient
            moved = moved if self.floor is None else moved.clamp(min=self.floor)
            # A sum of 0 cannot be scaled to T: the weights stay as they were.
            total = moved.sum()
            return {"weights": moved * moved.numel() / total if bool(total != 0) else weights}
        # d w_k / d logit_j = w_k (1[k = j] - w_j / T)
        pull = weights * (gradient - (weights * gradient).mean())
        if "logits" in state:
            return {"logits": state["logits"] - self.lr * pull}
        size = (weights * norms).mean()
        moved = _sum_of_all(state["log_weights"] - self.lr * pull / torch.where(size > 0, size, torch.ones_like(size)))
        return {"log_weights": moved if not self.floor else _sum_of_all(moved.clamp(min=math.log(self.floor)))}

    def _gradient(self, weights: Tensor, norms: Tensor, losses: Tensor, initial: Tensor) -> Tensor:
        """The derivative (T,) of equation 2 by the weights."""
        weighted = weights * norms
        progress = torch.where(initial != 0, losses / initial, torch.ones_like(losses))
        average = progress.mean()
        rate = progress / average if bool(average > 0) else torch.ones_like(progress)
        target = weighted.mean() * rate.clamp(min=0) ** self.alpha
        return torch.sign(weighted - target) * norms


def _sum_of_all(logs: Tensor) -> Tensor:
    """Logarithms of weights (T,), moved so that the weights' sum is T."""
    return torch.log_softmax(logs, dim=0) + math.log(len(logs))


def _weights(state: State) -> Tensor:
    """The weights (T,) that a state holds, in any form."""
    if "weights" in state:
        return state["weights"]
    logits = state["logits"] if "logits" in state else state["log_weights"]
    return logits.numel() * torch.softmax(logits, dim=0)
