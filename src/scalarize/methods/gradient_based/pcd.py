"""PCD: follow one task's gradient, and give each of the others a guaranteed share of progress."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from scalarize.methods.base import Method
from scalarize.methods.checks import counted, in_range, no_failures
from scalarize.methods.evidence import Evidence, Needs, State
from scalarize.methods.gram import Array, Gram, as_weights
from scalarize.methods.registry import register
from scalarize.methods.solvers import nonnegative_qp
from scalarize.utils.errors import RequestError


@register
@dataclass(eq=False)
class PCD(Method):
    """The d nearest to the primary task's gradient with ``u_j . d >= tau |u_j|^2`` for every other task j, made as long
    as that gradient (Varam and AlHajri 2026, priority-constrained descent).

    ``u_t = g_t / sqrt(v_t + eps)`` are the gradients on one scale: v_t is the moving average of ``|g_t|^2``, freed of
    its start at 0 as in Adam. By duality ``d = u_1 + sum_j mu_j u_j`` with mu >= 0.

    Args:
        tau: share of its own normalised progress that each other task is guaranteed, in [0, 1]: one number, or one for
            each other task in their order. Default 0.02.
        beta: decay of the moving average, in [0, 1). Default 0.999.
        eps: added to the average before the root, >= 0. Default 1e-8.
        primary: position of the primary task, from 0; its name on the command line. Default 0.

    Raises:
        RequestError: a number is out of range; at the first step: there is no task ``primary``, or not one tau for each
            other task.
        RunError: the Gramian is not finite.

    Cost: T backwards, T x P numbers, and a quadratic programme of size T - 1, solved exactly.

    Fails: a guarantee is kept at the primary task's cost: against an opposite gradient even a small tau turns the whole
    step around, at full length. A step without the primary task, or with a zero gradient of it, moves nothing.

    Our choice: if no direction keeps all guarantees, or the solver does not converge, that is counted, and the primary
    gradient alone is followed, as the paper does.
    """

    name = "pcd"
    family = "gradient-based"
    needs = Needs.GRAMIAN
    heads = "own"
    paper = "Varam and AlHajri 2026"
    permutation_equivariant = False
    homogeneity = None  # eps is a length
    task_axes = {"squares": 1, "steps": 1, "guaranteed": 1, "first": 1}
    tau: float | list[float] = 0.02
    beta: float = 0.999
    eps: float = 1e-8
    primary: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        shares = self.tau if isinstance(self.tau, list) else [self.tau]
        if not all(isinstance(x, int | float) and not isinstance(x, bool) and 0 <= x <= 1 for x in shares):
            raise RequestError(f"pcd: tau must lie in [0, 1], got {self.tau}")
        in_range(self, "beta", 0.0, 1.0)
        if self.beta == 1:
            raise RequestError("pcd: beta must be below 1, got 1")
        in_range(self, "eps", 0.0)
        if isinstance(self.primary, bool) or not isinstance(self.primary, int) or self.primary < 0:
            raise RequestError(f"pcd: primary must be the position of a task, from 0, got {self.primary!r}")

    def init(self, n_tasks: int) -> State:
        """squares (T,): the moving average, and steps (T,) in it; guaranteed (T,): tau; first (T,): 1 for the primary
        task. The last two are kept by task, as a batch may lack some."""
        if self.primary >= n_tasks:
            raise RequestError(f"pcd: there is no task {self.primary} among {n_tasks}, counted from 0")
        shares = self.tau if isinstance(self.tau, list) else [self.tau] * (n_tasks - 1)
        if len(shares) != n_tasks - 1:
            raise RequestError(f"pcd: {len(shares)} values of tau were given for {n_tasks - 1} tasks beside that one")
        whole = [*shares[: self.primary], 0.0, *shares[self.primary :]]
        return {
            "squares": torch.zeros(n_tasks, dtype=torch.float64),
            "steps": torch.zeros(n_tasks, dtype=torch.int64),
            "guaranteed": torch.tensor(whole, dtype=torch.float64),
            "first": (torch.arange(n_tasks) == self.primary).double(),
            **no_failures(),
        }

    def weigh(self, evidence: Evidence, state: State) -> tuple[Tensor, State]:
        assert evidence.gramian is not None
        gram = Gram.of(evidence.gramian)
        squares, scale, steps = self._averaged(gram, state)
        first = np.flatnonzero(state["first"].cpu().numpy())
        weights, converged = np.zeros(gram.n_tasks), True
        if first.size and gram.norms[first[0]] > 0:
            at = int(first[0])
            scaled = gram.scaled(scale)
            mu, converged = _multipliers(scaled, at, state["guaranteed"].cpu().numpy())
            v = scaled.norms * mu
            if not scaled.cancels(v):
                length = float(np.sqrt(max(float(v @ scaled.cosines @ v), 0.0)))
                weights = scale * mu * gram.norms[at] / length
        after = {**state, "squares": torch.from_numpy(squares).to(state["squares"]), "steps": steps}
        return as_weights(weights, evidence.gramian), counted(after, converged)

    def _averaged(self, gram: Gram, state: State) -> tuple[Array, Array, Tensor]:
        """Return the moving average (T,) after this step, the factors (T,) that bring gradients to one scale, and the
        steps (T,) made."""
        steps = state["steps"] + 1
        kept = (self.beta ** steps.double()).cpu().numpy()
        squares = self.beta * state["squares"].cpu().numpy() + (1 - self.beta) * gram.norms**2
        roots = np.sqrt(squares / (1 - kept) + self.eps)
        return squares, np.divide(1.0, roots, out=np.zeros_like(roots), where=roots > 0), steps


def _multipliers(gram: Gram, at: int, guaranteed: Array) -> tuple[Array, bool]:
    """Return the weights (T,) of the normalised gradients, 1 at the primary task ``at``, and True if they solve it."""
    others = np.arange(gram.n_tasks) != at
    norms = gram.norms[others]
    needed = gram.norms[at] * gram.cosines[others, at] - guaranteed[others] * norms
    v, converged = nonnegative_qp(gram.cosines[np.ix_(others, others)], needed, gram.eps)
    mu = np.zeros(gram.n_tasks)
    mu[at] = 1.0
    if converged:
        mu[others] = np.divide(v, norms, out=np.zeros_like(v), where=norms > 0)
    return mu, converged
