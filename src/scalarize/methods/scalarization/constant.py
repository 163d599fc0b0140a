"""Scalarization with constant weights (Royer et al. 2023, equation 1 with p fixed)."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from scalarize.methods.base import Method
from scalarize.methods.evidence import Evidence, Needs, State
from scalarize.methods.registry import register
from scalarize.utils.errors import RequestError


@dataclass(eq=False)
class _Constant(Method):
    """Weights that never change. The number of tasks is remembered, since no evidence is needed."""

    family = "scalarization"
    needs = Needs.NOTHING
    heads = "weighted"
    task_axes = {"weights": 1}

    def weigh(self, evidence: Evidence, state: State) -> tuple[Tensor, State]:
        return state["weights"], state


@register
@dataclass(eq=False)
class Unitary(_Constant):
    """Weights of 1: the plain sum of the losses (Kurin et al. 2022, equation 1). It has no hyper-parameters.

    Cost: one ordinary backward.

    Fails: the losses' units decide: a loss a hundred times larger than the others trains alone. The learning rate has
    to shrink as tasks are added.
    """

    name = "unitary"
    paper = "Kurin et al. 2022"

    def init(self, n_tasks: int) -> State:
        return {"weights": torch.ones(n_tasks, dtype=torch.float64)}


@register
@dataclass(eq=False)
class Uniform(_Constant):
    """Weights of 1/T: the mean of the losses (Royer et al. 2023, equation 1 with p uniform). It has no
    hyper-parameters.

    Cost: one ordinary backward.

    Fails: as the plain sum does, the losses' units decide; put the losses on one scale first.
    """

    name = "uniform"
    paper = "Royer et al. 2023"

    def init(self, n_tasks: int) -> State:
        return {"weights": torch.full((n_tasks,), 1.0 / n_tasks, dtype=torch.float64)}


@register
@dataclass(eq=False)
class Fixed(_Constant):
    """Given weights, a point on the simplex times a positive ``scale`` (Royer et al. 2023, section 4.1).

    Args:
        weights: T numbers >= 0, normalised to sum 1; an empty list means uniform. Default: empty.
        scale: factor of the normalised weights, > 0. Default 1.

    Raises:
        RequestError: at the first step: there are not T weights, one is negative or not finite, all are 0, or scale is
            not above 0.

    Cost: one ordinary backward.

    Fails: weights that were good for one model, data set or stage of the training need not be for another; finding them
    costs a search.
    """

    name = "fixed"
    paper = "Royer et al. 2023, section 4.1"
    permutation_equivariant = False
    weights: list[float] = field(default_factory=list)
    scale: float = 1.0

    def init(self, n_tasks: int) -> State:
        if not self.scale > 0:
            raise RequestError(f"fixed: the scale must be positive, got {self.scale}")
        given = torch.tensor(self.weights or [1.0] * n_tasks, dtype=torch.float64)
        if given.shape != (n_tasks,):
            raise RequestError(f"fixed: {len(self.weights)} weights were given for {n_tasks} tasks")
        if not torch.isfinite(given).all() or (given < 0).any() or given.sum() <= 0:
            raise RequestError(f"fixed: weights must be finite, >= 0 and not all 0, got {self.weights}")
        return {"weights": self.scale * given / given.sum()}
