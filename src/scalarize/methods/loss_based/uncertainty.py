"""Uncertainty weighting: each task's noise is learned with the model."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from scalarize.methods.base import Method
from scalarize.methods.checks import in_range, losses_of, one_choice
from scalarize.methods.evidence import Evidence, Needs, State
from scalarize.methods.registry import register

FORMS = ("logvar", "sigma", "liebel", "logvar-unit")


@register
@dataclass(eq=False)
class Uncertainty(Method):
    """Learned homoscedastic uncertainty (Kendall, Gal and Cipolla 2018, equation 7).

    The total is the sum over tasks of one of these forms, with the learned ``s`` = log sigma^2, or ``sigma`` (T,):

    - ``"logvar"``: ``exp(-s) L / 2 + s / 2``, equation 7 in the stable parametrisation of section 3.2;
    - ``"sigma"``: ``L / (2 sigma^2) + log sigma``, the same in sigma itself;
    - ``"liebel"``: ``L / (2 sigma^2) + log(1 + sigma^2)`` (Liebel and Koerner 2018, equation 2), never negative;
    - ``"logvar-unit"``: ``exp(-s) L + s / 2``, the paper's form for classification (its equation 10).

    The balancer steps s or sigma at a learning rate of its own, or, with ``learned="yours"``, the training's optimiser
    does, as in the paper.

    Args:
        form: one of the four forms. Default ``"logvar"``.
        start: s, that is log sigma^2, before the first step. Default 0 (-0.5 in some code).

    Raises:
        RequestError: the form is unknown, start is not a number, or losses are missing.

    Cost: one ordinary backward; T learned numbers.

    Fails: a negative loss has no minimum in s; if a model overfits, L goes to 0 and its weight without bound; at a
    small learning rate the weights stay near their start, and weight decay pulls them to sigma = 1.
    """

    name = "uncertainty"
    family = "loss-based"
    needs = Needs.LOSSES
    heads = "weighted"
    paper = "Kendall et al. 2018"
    learned = ("s", "sigma")
    task_axes = {"s": 1, "sigma": 1}
    has_objective = True
    form: str = "logvar"
    start: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        one_choice(self, "form", FORMS)
        in_range(self, "start", -float("inf"))

    def init(self, n_tasks: int) -> State:
        if self.form in ("sigma", "liebel"):
            return {"sigma": torch.full((n_tasks,), math.exp(self.start / 2), dtype=torch.float64)}
        return {"s": torch.full((n_tasks,), float(self.start), dtype=torch.float64)}

    def _parts(self, state: State) -> tuple[Tensor, Tensor]:
        """Weights (T,) and what is added to the loss (T,)."""
        if self.form == "logvar":
            return torch.exp(-state["s"]) / 2, state["s"] / 2
        if self.form == "logvar-unit":
            return torch.exp(-state["s"]), state["s"] / 2
        square = state["sigma"] ** 2
        added = torch.log(state["sigma"].abs()) if self.form == "sigma" else torch.log1p(square)
        return 1 / (2 * square), added

    def weigh(self, evidence: Evidence, state: State) -> tuple[Tensor, State]:
        return self._parts(state)[0].detach().to(losses_of(evidence, self)), state

    def objective(self, losses: Tensor, state: State) -> Tensor:
        weights, added = self._parts(state)
        return (weights.to(losses) * losses + added.to(losses)).sum()
