"""DB-MTL: losses in logarithms, gradients of equal length."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from scalarize.methods.base import Method
from scalarize.methods.checks import in_range, losses_of, positive
from scalarize.methods.evidence import Evidence, Needs, State
from scalarize.methods.registry import register


@register
@dataclass(eq=False)
class DBMTL(Method):
    """The sum of the averaged gradients of the log losses, each scaled to the longest one's norm (Lin et al. 2023,
    algorithm 1).

    The average, from 0, is ``b <- G + (beta / t^sigma) (b - G)``, G (T, P) the gradients of ``log(L + 1e-8)``, t the
    step from 1. The result is no weighting of this step's gradients, so there are no weights.

    Args:
        beta: share of the old average, in [0, 1]. Default 0.9.
        sigma: exponent by which beta falls with the step, >= 0. Default 0.

    Raises:
        RequestError: beta or sigma is out of range, or losses are missing.
        RunError: a loss is below 0.

    Cost: T backwards, the rows and their average: 2 T x P numbers; parameter level only.

    Fails: near the end of one task's training its gradient is noise, scaled up to the longest norm.

    Our choice: a zero average stays zero.
    """

    name = "db-mtl"
    family = "gradient-based"
    needs = Needs.JACOBIAN
    levels = ("parameters",)  # its memory is of single coordinates, which samples do not keep
    heads = "own"
    paper = "Lin et al. 2023"
    has_combine = True
    task_axes = {"buffer": 1}
    coordinates = ("buffer",)
    beta: float = 0.9
    sigma: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        in_range(self, "beta", 0.0, 1.0)
        in_range(self, "sigma", 0.0)

    def init(self, n_tasks: int) -> State:
        """buffer (T, P), made at the first step (with one column of zeros before); steps: how many were made."""
        return {"buffer": torch.zeros(n_tasks, 1, dtype=torch.float64), "steps": torch.zeros((), dtype=torch.int64)}

    def combine(self, evidence: Evidence, state: State) -> tuple[Tensor, Tensor | None, State]:
        assert evidence.jacobian is not None
        steps = state["steps"] + 1
        losses = positive(losses_of(evidence, self), self).to(evidence.jacobian)
        log_gradients = evidence.jacobian / (losses + 1e-8)[:, None]
        keep = self.beta / float(steps) ** self.sigma
        buffer = log_gradients + keep * (state["buffer"].to(log_gradients) - log_gradients)
        norms = torch.linalg.vector_norm(buffer, dim=1)
        weights = torch.where(norms > 0, norms.max() / norms, torch.zeros_like(norms))
        return weights @ buffer, None, {**state, "buffer": buffer, "steps": steps}
