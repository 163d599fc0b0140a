"""ExcessMTL: tasks that are far from their own optimum count more, whatever their noise."""

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
class ExcessMTL(Method):
    """``w <- w exp(lr E / E_0)``, normalised to sum 1, from 1/T (He et al. 2024, equations 6 to 9, algorithm 1).

    E_t estimates the excess risk ``g_t^T H_t^-1 g_t`` with the diagonal ``H_t`` the root of the summed squares of the
    task's gradients so far; E_0 is its value at the first step.

    Args:
        lr: step length in the exponent, >= 0. Default 1.
        warmup: number of first steps whose mean is E_0 and during which weights stay at 1/T, >= 0. Default 0, the
            paper's rule.

    Raises:
        RequestError: lr or warmup is negative.

    Cost: T backwards, the rows and their sums of squares: 2 T x P numbers; parameter level only.

    Fails: the exponents only ever add up, so an early lead of one task lasts and a large lr ends on a vertex; E_0 is
    one noisy batch without a warm-up.

    Our choice: a task whose first gradients are all zero counts as having no excess.
    """

    name = "excess-mtl"
    family = "gradient-based"
    needs = Needs.JACOBIAN
    levels = ("parameters",)  # its memory is of single coordinates, which samples do not keep
    heads = "weighted"
    paper = "He et al. 2024"
    task_axes = {"weights": 1, "squares": 1, "baseline": 1}
    coordinates = ("squares",)
    lr: float = 1.0
    warmup: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        in_range(self, "lr", 0.0)
        in_range(self, "warmup", 0)

    def init(self, n_tasks: int) -> State:
        """weights (T,); squares (T, P), made at the first step (one column of zeros before); baseline (T,): the sum
        of the excess risks that E_0 averages; steps made."""
        return {
            "weights": torch.full((n_tasks,), 1.0 / n_tasks, dtype=torch.float64),
            "squares": torch.zeros(n_tasks, 1, dtype=torch.float64),
            "baseline": torch.zeros(n_tasks, dtype=torch.float64),
            "steps": torch.zeros((), dtype=torch.int64),
        }

    def weigh(self, evidence: Evidence, state: State) -> tuple[Tensor, State]:
        assert evidence.jacobian is not None
        j = evidence.jacobian
        squares = state["squares"].to(j) + j**2
        risk = torch.where(squares > 0, j**2 / squares.sqrt(), torch.zeros_like(j)).sum(dim=1).double()
        steps = int(state["steps"]) + 1
        averaged = max(self.warmup, 1)
        baseline = state["baseline"] + (risk if steps <= averaged else 0)
        weights = state["weights"]
        if steps > self.warmup:
            start = baseline / averaged
            # A task whose first gradients are all zero has no scale of its own: its excess counts as none.
            excess = torch.where(start > 0, risk / start, torch.zeros_like(risk))
            weights = weights * torch.exp(self.lr * (excess - excess.max()))
            weights = weights / weights.sum()
        after = {**state, "weights": weights, "squares": squares, "baseline": baseline, "steps": state["steps"] + 1}
        return weights.to(j), after
