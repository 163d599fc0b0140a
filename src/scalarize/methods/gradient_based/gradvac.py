"""GradVac: gradients are turned until their cosines reach a running target."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from scalarize.methods.base import Method
from scalarize.methods.checks import in_range, one_choice
from scalarize.methods.evidence import Evidence, Needs, State
from scalarize.methods.gradient_based.pcgrad import random_orders
from scalarize.methods.gram import Gram, as_weights
from scalarize.methods.registry import register


@register
@dataclass(eq=False)
class GradVac(Method):
    """The sum over tasks of ``g_i`` after, for every other task j whose cosine phi with it is below its target phi_hat,
    adding ``|g_i| (phi_hat sqrt(1 - phi^2) - phi sqrt(1 - phi_hat^2)) / (|g_j| sqrt(1 - phi_hat^2)) g_j`` to g_i (Wang
    et al. 2021, equation 2 and algorithm 1).

    The targets (T, T), from 0, follow every cosine seen: ``phi_hat <- (1 - beta) phi_hat + beta phi``. ``draws`` (T,
    T-1): row i is the order for task i.

    Args:
        beta: rate at which the targets follow, in [0, 1]. Default 0.01, as in the paper (0.5 in public code).
        update: ``"always"`` (the paper), or ``"corrected"``: only cosines that were corrected are followed, as in one
            implementation. Default ``"always"``.

    Raises:
        RequestError: beta is outside [0, 1], or update is unknown.
        RunError: the Gramian is not finite.

    Cost: T backwards, T x P numbers; the T - 1 turns happen on the Gramian, for all tasks at once.

    Fails: a long training in agreement sets targets near 1, and then a gradient that strays is turned by large
    multiples of others; the result depends on the order of the tasks.

    Our choice: all parameters form one group; zero gradients are passed over.
    """

    name = "gradvac"
    family = "gradient-based"
    needs = Needs.GRAMIAN
    heads = "own"
    paper = "Wang et al. 2021"
    task_axes = {"phi": 2}
    random = True
    permutation_equivariant = False
    beta: float = 0.01
    update: str = "always"

    def __post_init__(self) -> None:
        super().__post_init__()
        in_range(self, "beta", 0.0, 1.0)
        one_choice(self, "update", ("always", "corrected"))

    def init(self, n_tasks: int) -> State:
        """phi (T, T): the target cosine of task i's gradient with task j's."""
        return {"phi": torch.zeros(n_tasks, n_tasks, dtype=torch.float64)}

    def weigh(self, evidence: Evidence, state: State) -> tuple[Tensor, State]:
        assert evidence.gramian is not None
        gram = Gram.of(evidence.gramian)
        target = state["phi"].double().cpu().numpy().copy()
        rows = np.arange(gram.n_tasks)
        # Row i holds task i's gradient in coordinates of the unit gradients; a task's own length does not matter.
        parts, norms = np.diag(gram.nonzero.astype(np.float64)), gram.nonzero.astype(np.float64)
        for j in random_orders(gram.n_tasks, evidence).T:
            inner = np.einsum("ij,ij->i", parts, gram.cosines[j])
            seen = (norms > 0) & gram.nonzero[j]
            phi = np.clip(np.divide(inner, norms, out=np.zeros_like(inner), where=seen), -1.0, 1.0)
            goal = target[rows, j]
            turn = seen & (phi < goal) & (np.abs(goal) < 1)
            rest = np.sqrt(np.where(turn, 1 - goal**2, 1.0))
            added = np.where(turn, norms * (goal * np.sqrt(1 - phi**2) - phi * rest) / rest, 0.0)
            parts[rows, j] += added
            norms = np.sqrt(np.maximum(norms**2 + 2 * added * inner + added**2, 0.0))
            followed = seen if self.update == "always" else turn
            target[rows, j] = np.where(followed, (1 - self.beta) * goal + self.beta * phi, goal)
        total = gram.norms @ parts
        weights = np.divide(total, gram.norms, out=np.ones_like(total), where=gram.nonzero)
        return as_weights(weights, evidence.gramian), {**state, "phi": torch.from_numpy(target).to(state["phi"])}
