"""PCGrad: what conflicts with another task's gradient is projected away."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from scalarize.methods.base import Method
from scalarize.methods.checks import flag, one_choice
from scalarize.methods.evidence import Evidence, Needs, State
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


def one_order(n_tasks: int, evidence: Evidence, shuffled: bool) -> np.ndarray:
    """(T, T): one order of all tasks, random or as they come, in every row; unless drawn before."""
    if evidence.draws is not None:
        return evidence.draws.long().cpu().numpy()
    order = torch.randperm(n_tasks, generator=evidence.generator) if shuffled else torch.arange(n_tasks)
    return order.expand(n_tasks, n_tasks).numpy()


@register
@dataclass(eq=False)
class PCGrad(Method):
    """Sum over tasks of ``g_i`` after, for every other task j in random order, ``g_i -= (g_i.g_j / |g_j|^2) g_j`` if
    ``g_i.g_j < 0`` (Yu et al. 2020, algorithm 1; g_j is the unprojected gradient).

    The projections are loss weights (Kurin et al. 2022, proposition 3), so they happen on the T x T Gramian. ``draws``:
    row i is the order for task i, (T, T-1), or (T, T) with i in it (passed over unless include_self).

    Args:
        reduction: ``"sum"`` as in the paper, or ``"mean"``. Default ``"sum"``.
        order: a random order of every task's ``"own"`` (the paper), one ``"shared"`` by all, or ``"fixed"``: the order
            of the tasks, as in public code. Default ``"own"``.
        include_self: if True, j = i is among them, as in public code, which matters from three tasks on, since a
            projected gradient can oppose its own old one. Default False, as in the paper.

    Raises:
        RequestError: a choice is unknown.
        RunError: the Gramian is not finite.

    Cost: T backwards, T x P numbers; each of the T - 1 steps projects all T gradients at once.

    Fails: it is the plain sum if nothing conflicts, and its random order adds noise if much does; the longest gradient
    still dominates; at Pareto-stationary points of two tasks it stops wherever they are opposite.

    Our choice: a zero gradient is never projected on.
    """

    name = "pcgrad"
    family = "gradient-based"
    needs = Needs.GRAMIAN
    heads = "own"
    paper = "Yu et al. 2020"
    random = True
    permutation_equivariant = False
    reduction: str = "sum"
    order: str = "own"
    include_self: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        one_choice(self, "reduction", ("sum", "mean"))
        one_choice(self, "order", ("own", "shared", "fixed"))
        flag(self, "include_self")

    def weigh(self, evidence: Evidence, state: State) -> tuple[Tensor, State]:
        assert evidence.gramian is not None
        gram = Gram.of(evidence.gramian)
        weights = _project(gram, self._orders(gram.n_tasks, evidence), self.include_self)
        if self.reduction == "mean":
            weights = weights / gram.n_tasks
        return as_weights(weights, evidence.gramian), state

    def _orders(self, n_tasks: int, evidence: Evidence) -> np.ndarray:
        if self.order == "own" and not self.include_self:
            return random_orders(n_tasks, evidence)
        if self.order == "own" and evidence.draws is None:
            ranks = torch.rand((n_tasks, n_tasks), generator=evidence.generator, dtype=torch.float64)
            return ranks.argsort(dim=1).numpy()
        return one_order(n_tasks, evidence, self.order == "shared")


def _project(gram: Gram, orders: np.ndarray, include_self: bool) -> Array:
    rows = np.arange(gram.n_tasks)
    # Row i holds task i's projected gradient in coordinates of the unit gradients.
    parts = np.diag(gram.norms)
    for j in orders.T:
        inner = np.einsum("ij,ij->i", parts, gram.cosines[j])
        conflict = np.minimum(inner, 0.0)
        parts[rows, j] -= conflict if include_self else np.where(j == rows, 0.0, conflict)
    total = parts.sum(axis=0)
    return np.asarray(np.divide(total, gram.norms, out=np.ones_like(total), where=gram.nonzero))
