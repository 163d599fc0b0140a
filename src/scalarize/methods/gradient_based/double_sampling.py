"""SDMGrad and MoDo: weights from two independent batches, so that their product is unbiased."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from scalarize.methods import preference
from scalarize.methods.base import Method
from scalarize.methods.checks import in_range
from scalarize.methods.evidence import Evidence, Needs, State
from scalarize.methods.gram import Array, as_weights
from scalarize.methods.registry import register
from scalarize.weights import simplex


def cross_gramian(evidence: Evidence) -> Array:
    """``J_1 J_2^T`` (T, T) of two independent batches: the two further ones, or this one and the only further one.

    Without further batches it is this batch's Gramian: biased, but a function of what there is.
    """
    jacobians = [e.jacobian for e in evidence.extra if e.jacobian is not None]
    if not jacobians:
        assert evidence.gramian is not None
        product = evidence.gramian
    else:
        first = jacobians[0] if len(jacobians) > 1 else evidence.jacobian
        assert first is not None
        product = first @ jacobians[-1].T
    return np.asarray(product.detach().double().cpu().numpy())


@register
@dataclass(eq=False)
class SDMGrad(Method):
    """``w = (w_s + lambda w_0) / (1 + lambda)``, w_s on the simplex minimising ``|(w_s + lambda w_0) @ J|^2 / 2`` with
    the preference w_0 (Xiao, Ban and Ji 2023, equation 10 and algorithm 1).

    w_s is carried over from step to step and moved by projected steps with momentum along ``A (w_s + lambda w_0)``; A
    is the product of two further batches' Jacobians, divided by the squared mean of the roots of its diagonal (section
    6.1). The direction is taken on the first batch. One copy of the authors' code makes the three batches one and the
    same: give this batch again as ``extra`` for that.

    Args:
        lr: length of a projected step, > 0. Default 10, as in the authors' code (5 in another one).
        lambda_: lambda, >= 0. Default 0.3.
        momentum: momentum of the projected steps, in [0, 1]. Default 0.5.
        n_iter: number of projected steps a step, >= 1. Default 20.
        preference: T numbers >= 0, normalised to sum 1: w_0. Default: all the same, w_0 = 1/T.

    Raises:
        RequestError: a hyper-parameter is out of range, or the preference has another length than T.

    Cost: 3 T backwards on three batches, 3 T x P numbers.

    Fails: with its large lr w_s jumps between vertices of the simplex if A is noisy.

    Our choice: if only one further batch is given, the first batch and it make A; if none is, A is the Gramian of the
    first, which is biased.
    """

    name = "sdmgrad"
    family = "gradient-based"
    needs = Needs.JACOBIAN
    heads = "own"
    paper = "Xiao et al. 2023"
    extra_batches = 2
    task_axes = {"weights": 1, "preference": 1}
    lr: float = 10.0
    lambda_: float = 0.3
    momentum: float = 0.5
    n_iter: int = 20
    preference: Sequence[float] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        in_range(self, "lr", 0.0, open_low=True)
        in_range(self, "lambda_", 0.0)
        in_range(self, "momentum", 0.0, 1.0)
        in_range(self, "n_iter", 1)
        preference.check(self)

    def init(self, n_tasks: int) -> State:
        weights = torch.full((n_tasks,), 1.0 / n_tasks, dtype=torch.float64)
        return {"weights": weights, **preference.entry(self, n_tasks)}

    def weigh(self, evidence: Evidence, state: State) -> tuple[Tensor, State]:
        assert evidence.jacobian is not None
        a = cross_gramian(evidence)
        n = len(a)
        mean_root = float(np.sqrt(np.maximum(a.diagonal(), 0.0)).mean())
        if mean_root > 0:
            a = a / mean_root**2
        # Weights of the tasks in this batch: a point of their own simplex.
        w = simplex.project(state["weights"].double().cpu().numpy())
        pull = preference.shares(state, n, self.lambda_)
        speed = np.zeros(n)
        for _ in range(self.n_iter):
            speed = self.momentum * speed + a @ (w + pull)
            w = simplex.project(w - self.lr * speed)
        total = (w + pull) / (1 + self.lambda_)
        return as_weights(total, evidence.jacobian), {**state, "weights": torch.from_numpy(w).to(state["weights"])}


@register
@dataclass(eq=False)
class MoDo(Method):
    """``w <- Pi(w - gamma (J_1 J_2^T + rho I) w)``, Pi the projection onto the simplex, from 1/T (Chen et al. 2023,
    algorithm 1).

    J_1 and J_2 are the Jacobians of two further, independent batches, and the direction is ``w @ J`` with the new
    weights on the first: the paper's three samples.

    Args:
        gamma: step length, > 0, in units of 1 over a squared gradient. Default 0.1.
        rho: weight of the identity, >= 0. Default 0, the paper's rule (0.1 in public code).

    Raises:
        RequestError: gamma or rho is out of range.

    Cost: 3 T backwards on three batches, 3 T x P numbers.

    Fails: gamma is a step length against the gradients' squares: a value that is good early is far too small when the
    gradients have shrunk, and large gradients throw the weights from vertex to vertex.

    Our choice: gamma = 0.1; fewer further batches are used as in ``sdmgrad``.
    """

    name = "modo"
    family = "gradient-based"
    needs = Needs.JACOBIAN
    heads = "own"
    paper = "Chen et al. 2023"
    extra_batches = 2
    homogeneity = None  # gamma is a step length against the gradients' squares
    task_axes = {"weights": 1}
    gamma: float = 0.1
    rho: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        in_range(self, "gamma", 0.0, open_low=True)
        in_range(self, "rho", 0.0)

    def init(self, n_tasks: int) -> State:
        return {"weights": torch.full((n_tasks,), 1.0 / n_tasks, dtype=torch.float64)}

    def weigh(self, evidence: Evidence, state: State) -> tuple[Tensor, State]:
        assert evidence.jacobian is not None
        w = state["weights"].double().cpu().numpy()
        w = simplex.project(w - self.gamma * (cross_gramian(evidence) @ w + self.rho * w))
        return as_weights(w, evidence.jacobian), {**state, "weights": torch.from_numpy(w).to(state["weights"])}
