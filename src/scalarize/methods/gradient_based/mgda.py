"""MGDA: the shortest vector in the convex hull of the task gradients."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from scalarize.methods.base import Method
from scalarize.methods.checks import counted, flag, losses_of, no_failures, one_choice
from scalarize.methods.evidence import Evidence, Needs, State
from scalarize.methods.gram import Gram, as_weights
from scalarize.methods.registry import register
from scalarize.methods.solvers import min_norm


@register
@dataclass(eq=False)
class MGDA(Method):
    """Simplex weights w that minimise ``|sum_t w_t g_t / d_t|`` (Sener and Koltun 2018, equation 3; Desideri 2012).

    Args:
        normalization: d: 1 (``"none"``), the norm of the gradient (``"l2"``), the loss (``"loss"``) or their product
            (``"loss+"``); if it is 0 the gradient is left as it is. Default ``"none"``.
        applied_to: gradients that the weights act on: the ``"raw"`` ones, as in the authors' code, or the
            ``"normalized"`` ones, as in other implementations. Default ``"raw"``.
        times_tasks: if True, the weights sum to T, as in one implementation. Default False.

    Raises:
        RequestError: a choice is unknown, or losses that normalise are missing.
        RunError: the Gramian is not finite.

    Cost: T backwards, T x P numbers, and a quadratic programme of size T, solved exactly.

    Fails: the shortest gradient has the largest weight, so without a normalisation it follows the task that is nearly
    done, or whose loss is in large units; at any Pareto-stationary point the gradient is 0, however poor the point.

    Our choice: if the solver does not converge it is counted, and the shortest gradient alone is followed.
    """

    name = "mgda"
    family = "gradient-based"
    needs = Needs.GRAMIAN
    heads = "own"
    paper = "Sener and Koltun 2018"
    non_conflicting = True
    normalization: str = "none"
    applied_to: str = "raw"
    times_tasks: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        one_choice(self, "normalization", ("none", "l2", "loss", "loss+"))
        one_choice(self, "applied_to", ("raw", "normalized"))
        flag(self, "times_tasks")

    def init(self, n_tasks: int) -> State:
        return no_failures()

    def weigh(self, evidence: Evidence, state: State) -> tuple[Tensor, State]:
        assert evidence.gramian is not None
        gram = Gram.of(evidence.gramian)
        d = np.ones(gram.n_tasks)
        if self.normalization in ("loss", "loss+"):
            d = d * np.abs(losses_of(evidence, self).double().cpu().numpy())
        if self.normalization in ("l2", "loss+"):
            d = d * gram.norms
        d = np.where(d > 0, d, 1.0)
        weights, converged = min_norm(dataclasses.replace(gram, norms=gram.norms / d))
        if self.applied_to == "normalized":
            weights = weights / d
        weights = weights * gram.n_tasks if self.times_tasks else weights
        return as_weights(weights, evidence.gramian), counted(state, converged)
