"""One batch of a workload, and the steps that the package's learner makes of it under each method."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from scalarize import methods
from scalarize.balancer.balancer import Balancer
from scalarize.learners import levels
from scalarize.learners.evaluation import View
from scalarize.learners.forward import forward
from scalarize.learners.passes import Pass, Passes
from scalarize.learners.recipe import Recipe
from scalarize.methods import Method
from scalarize.studies.step_cost import Backward, Balanced, measure
from scalarize.tasks.samples import Batch
from scalarize.tasks.task import Data

Divide = Callable[[Mapping[str, Batch]], Sequence[Pass]]


class FixedBatch:
    """A batch, divided equally over the domains, with a supervised model.

    Args:
        model: with ``encode``, ``decode`` and ``shared_parameters``, on the device.
        data: its training samples come from here, from the first on, and over again if there are too few.
        recipe: of the trainings: its batch size, and if domains have forward passes of their own.
        device: of the model.
    """

    def __init__(self, model: Any, data: Data, recipe: Recipe, device: str = "cpu") -> None:
        self.model, self.data, self.recipe, self.device = model, data, recipe, torch.device(device)
        share = max(1, recipe.batch_size // len(data.domains))
        train = {name: domain.splits["train"] for name, domain in data.domains.items()}
        self.parts = {n: s.batch(torch.arange(share) % len(s)).to(self.device) for n, s in train.items()}
        self._double = next(model.parameters()).dtype == torch.float64

    def forward(self, view: View | None = None, divide: Divide | None = None) -> tuple[dict[str, Tensor], Any]:
        """Run the forward pass, or passes.

        Args:
            view: what each head is given in place of the representation. Default: itself.
            divide: divides the samples into passes. Default: one of all.

        Returns:
            The losses by objective, and the representation if all of them share one.
        """
        passes = [Pass(self.parts, self.data.objectives)] if divide is None else divide(self.parts)
        losses: dict[str, Tensor] = {}
        representation: Any = None
        for own, objectives in passes:
            found = forward(self.model, objectives, own, self._double, view)
            losses |= found.losses
            representation = found.representation if len(passes) == 1 else None
        return {name: losses[name] for name in self.data.names if name in losses}, representation

    def candidate(self, method: Method, level: Any = None) -> Balanced:
        """Return the step that a training with ``method`` makes.

        Args:
            method: new, or at least not in use.
            level: of its gradients, ``parameters`` or ``representation``. Default: the recipe's, else the method's.
        """
        recipe = self.recipe.model_copy(update={"accumulate": 1, "level": level or self.recipe.level})
        balancer = Balancer(
            method,
            self.model.shared_parameters(),
            level=levels.of(self.model, method, recipe),
            tasks=self.data.names,
        )
        passes = Passes(self.model, self.data, recipe, balancer, self.device)
        return Balanced(balancer, lambda view=None: self.forward(view, passes.divide))

    def measure(self, names: Sequence[str], repeats: int = 10) -> list[dict[str, Any]]:
        """Measure a step of each of the methods ``names`` beside a bare one; see :func:`step_cost.measure`."""
        candidates: dict[str, Callable[[], Backward]] = {
            name: lambda name=name: self.candidate(methods.create(name))  # type: ignore[misc]
            for name in names
        }
        return measure(self.forward, self.model.parameters(), candidates, repeats)
