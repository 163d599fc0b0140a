"""CR-MOGM: the weights of another method, averaged over steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from scalarize.methods.base import Method
from scalarize.methods.checks import in_range
from scalarize.methods.evidence import Evidence, Needs, State
from scalarize.methods.registry import create, get, register
from scalarize.utils.errors import RequestError


@register
@dataclass(eq=False)
class CRMOGM(Method):
    """``w <- alpha w + (1 - alpha) w_hat``, w_hat the weights of the method ``base`` at this step, from the first w_hat
    (Zhou et al. 2022, correlation-reduced multi-objective gradient manipulation).

    Weights computed from a batch are correlated with the gradients that they weigh, which biases the step; the average
    depends less on the batch.

    Args:
        base: method whose weights are averaged, by name, with its own defaults: one that needs the Gramian and whose
            step is a weighted sum of the gradients. Default ``"mgda"``.
        alpha: share of the old average, in [0, 1]; 0 is ``base`` itself. Default 0.9; the paper lets it grow towards 1
            as the learning rate falls.

    Raises:
        RequestError: alpha is out of range; base is unknown or of another kind.
        RunError: the Gramian is not finite.

    Cost: that of ``base``, and T numbers.

    Fails: the average lags: after gradients turn, a task may be hurt for about ``1 / (1 - alpha)`` steps, which
    ``base`` itself would have prevented.
    """

    name = "cr-mogm"
    family = "gradient-based"
    needs = Needs.GRAMIAN
    heads = "own"
    paper = "Zhou et al. 2022"
    task_axes = {"average": 1, "averaged": 1}
    base: str = "mgda"
    alpha: float = 0.9

    def __post_init__(self) -> None:
        super().__post_init__()
        in_range(self, "alpha", 0.0, 1.0)
        kind = get(self.base)
        gradient = kind.needs == Needs.GRAMIAN and not (kind.has_combine or kind.has_objective or kind.extra_batches)
        if not gradient or kind is type(self) or kind.learned or kind.observes or kind.has_view:
            raise RequestError(f"cr-mogm: base={self.base!r} does not weigh by the Gramian alone: try base='mgda'")
        self._inner = create(self.base)
        # What base declares holds for the average, too.
        axes = {**kind.task_axes, **type(self).task_axes}
        vars(self).update(task_axes=axes, heads=kind.heads, random=kind.random, levels=kind.levels)

    @property
    def counts_epochs(self) -> bool:
        """True if it matters to ``base``."""
        return self._inner.counts_epochs

    @property
    def ignores_zero_losses(self) -> bool:
        """True if ``base`` does."""
        return self._inner.ignores_zero_losses

    @property
    def hyper(self) -> dict[str, Any]:
        return {"base": self.base, "alpha": self.alpha}

    def init(self, n_tasks: int) -> State:
        """average (T,): w; averaged (T,): the steps in it, by task, as a batch may lack some; the state of ``base``."""
        own = {
            "average": torch.zeros(n_tasks, dtype=torch.float64),
            "averaged": torch.zeros(n_tasks, dtype=torch.int64),
        }
        return {**self._inner.init(n_tasks), **own}

    def weigh(self, evidence: Evidence, state: State) -> tuple[Tensor, State]:
        weights, after = self._inner.weigh(evidence, state)
        seen = weights.detach().to(state["average"])
        moved = self.alpha * state["average"] + (1 - self.alpha) * seen
        average = torch.where(state["averaged"] > 0, moved, seen)
        return average.to(weights), {**after, "average": average, "averaged": state["averaged"] + 1}
