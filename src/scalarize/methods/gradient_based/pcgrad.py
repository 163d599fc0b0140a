"""PCGrad: what conflicts with another task's gradient is projected away."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from scalarize.methods.base import Evidence, Method, Needs, State
from scalarize.methods.checks import one_choice
from scalarize.methods.gram import Array, Gram, as_weights
from scalarize.methods.registry import register


def random_orders(n_tasks: int, evidence: Evidence) -> np.ndarray:
    """Row i of (T, T-1): the other tasks in the order in which task i visits them; random unless drawn before."""
    if evidence.draws is not None:
        return evidence.draws.long().cpu().numpy()
    ranks = torch.rand((n_tasks, max(n_tasks - 1, 0)), generator=evidence.generator, dtype=torch.float64)
    orders = ranks.argsort(dim=1).numpy()
    # Task i's list of others skips i itself.
    return np.asarray(orders + (orders >= np.arange(n_tasks)[:, None]))


@register
@dataclass(eq=False)
class PCGrad(Method):
    """Sum over tasks of ``g_i`` after, for every other task j in random order, ``g_i -= (g_i.g_j / |g_j|^2) g_j``
    where ``g_i.g_j < 0`` (Yu et al. 2020, algorithm 1; g_j is the unprojected gradient).

    The projections are loss weights (Kurin et al. 2022, proposition 3), so they happen on the T x T Gramian: each of
    the T - 1 steps projects all T gradients at once. reduction: ``"sum"`` as in the paper, or ``"mean"``. ``draws``
    (T, T-1): row i is the order for task i. A zero gradient is never projected on.
    """

    name = "pcgrad"
    family = "gradient-based"
    needs = Needs.GRAMIAN
    heads = "own"
    paper = "Yu et al. 2020"
    random = True
    permutation_equivariant = False
    reduction: str = "sum"

    def __post_init__(self) -> None:
        super().__post_init__()
        one_choice(self, "reduction", ("sum", "mean"))

    def weigh(self, evidence: Evidence, state: State) -> tuple[Tensor, State]:
        assert evidence.gramian is not None
        gram = Gram.of(evidence.gramian)
        weights = _project(gram, random_orders(gram.n_tasks, evidence))
        if self.reduction == "mean":
            weights = weights / gram.n_tasks
        return as_weights(weights, evidence.gramian), state


def _project(gram: Gram, orders: np.ndarray) -> Array:
    rows = np.arange(gram.n_tasks)
    # Row i holds task i's projected gradient in coordinates of the unit gradients.
    parts = np.diag(gram.norms)
    for j in orders.T:
        inner = np.einsum("ij,ij->i", parts, gram.cosines[j])
        parts[rows, j] -= np.minimum(inner, 0.0)
    total = parts.sum(axis=0)
    return np.asarray(np.divide(total, gram.norms, out=np.ones_like(total), where=gram.nonzero))
