"""MoCo: MGDA on tracked gradients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from scalarize.methods.base import Method
from scalarize.methods.checks import in_range, one_choice
from scalarize.methods.evidence import Evidence, Needs, State
from scalarize.methods.registry import register
from scalarize.weights import simplex


@register
@dataclass(eq=False)
class MoCo(Method):
    """``y <- y - b_k (y - J)``, ``w <- Pi(w - c_k (y y^T + rho I) w)``, gradient ``w @ y`` (Fernando et al. 2023,
    equations 6, 9 and 10, algorithm 1).

    y (T, P) tracks the gradients, from 0; w starts at 1/T. Steps k count from 1: ``b_k = beta / k^beta_sigma``, ``c_k =
    gamma / k^gamma_sigma``. There are no weights of this step's gradients.

    Args:
        beta: step length of y, >= 0. Default 0.5.
        beta_sigma: exponent by which it falls, >= 0. Default 0.5.
        gamma: step length of w, >= 0, in units of 1 over a squared gradient. Default 0.1.
        gamma_sigma: exponent by which it falls, >= 0. Default 0.5.
        rho: weight of the identity, >= 0. Default 0.
        projection: Pi: the projection onto the ``"simplex"`` (the paper), or a ``"softmax"`` (public code). Default
            ``"simplex"``.

    Raises:
        RequestError: a number is negative, or projection is unknown.

    Cost: T backwards, the rows and what tracks them: 2 T x P numbers; parameter level only.

    Fails: the tracked gradients lag behind the model, the more the later (b_k falls); gamma is a step length against
    the gradients' squares, to be tuned for each problem.

    Our choice: the new y and w make the gradient (with y from 0 the old ones would waste the first step); the paper's
    projection of y onto a ball is left out; the defaults of beta, gamma and the sigmas.
    """

    name = "moco"
    family = "gradient-based"
    needs = Needs.JACOBIAN
    levels = ("parameters",)  # its memory is of single coordinates, which samples do not keep
    heads = "own"
    paper = "Fernando et al. 2023"
    has_combine = True
    homogeneity = None  # gamma is a step length against the gradients' squares
    task_axes = {"weights": 1, "tracked": 1}
    coordinates = ("tracked",)
    beta: float = 0.5
    beta_sigma: float = 0.5
    gamma: float = 0.1
    gamma_sigma: float = 0.5
    rho: float = 0.0
    projection: str = "simplex"

    def __post_init__(self) -> None:
        super().__post_init__()
        one_choice(self, "projection", ("simplex", "softmax"))
        for key in ("beta", "beta_sigma", "gamma", "gamma_sigma", "rho"):
            in_range(self, key, 0.0)

    def init(self, n_tasks: int) -> State:
        """weights (T,); tracked (T, P), made at the first step (one column of zeros before); steps made."""
        return {
            "weights": torch.full((n_tasks,), 1.0 / n_tasks, dtype=torch.float64),
            "tracked": torch.zeros(n_tasks, 1, dtype=torch.float64),
            "steps": torch.zeros((), dtype=torch.int64),
        }

    def combine(self, evidence: Evidence, state: State) -> tuple[Tensor, Tensor | None, State]:
        assert evidence.jacobian is not None
        j = evidence.jacobian
        steps = state["steps"] + 1
        y = state["tracked"].to(j)
        y = y - self.beta / float(steps) ** self.beta_sigma * (y - j)
        w = state["weights"].double()
        pull = (y @ (y.T @ w.to(y))).double() + self.rho * w
        w = self._onto_simplex(w - self.gamma / float(steps) ** self.gamma_sigma * pull)
        return w.to(y) @ y, None, {**state, "tracked": y, "weights": w.to(state["weights"]), "steps": steps}

    def _onto_simplex(self, point: Tensor) -> Tensor:
        if self.projection == "softmax":
            return torch.softmax(point, dim=0)
        nearest: np.ndarray = simplex.project(point.cpu().numpy())
        return torch.from_numpy(nearest).to(point)
