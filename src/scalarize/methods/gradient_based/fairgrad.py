"""FairGrad: alpha-fair shares of the step."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from scalarize.methods.bargaining import bargain
from scalarize.methods.base import Evidence, Method, Needs, State
from scalarize.methods.checks import counted, in_range, no_failures
from scalarize.methods.gram import Gram, as_weights
from scalarize.methods.registry import register
from scalarize.methods.solvers import min_norm


@register
@dataclass(eq=False)
class FairGrad(Method):
    """The weights w > 0 with ``G w = w^(-1/alpha)`` (Ban and Ji 2024, equation 4).

    alpha: > 0, 1 as in the authors' code (then it is Nash-MTL); larger values favour the task that gains least.

    There is no solution where a gradient is zero or the point is Pareto-stationary: that is counted, and the
    direction is MGDA's, the shortest vector in the hull of the gradients.
    """

    name = "fairgrad"
    family = "gradient-based"
    needs = Needs.GRAMIAN
    heads = "own"
    paper = "Ban and Ji 2024"
    non_conflicting = True
    homogeneity = None  # (1 - alpha) / (1 + alpha)
    alpha: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        in_range(self, "alpha", 0.0, open_low=True)

    def init(self, n_tasks: int) -> State:
        return no_failures()

    def weigh(self, evidence: Evidence, state: State) -> tuple[Tensor, State]:
        assert evidence.gramian is not None
        gram = Gram.of(evidence.gramian)
        solution = bargain(gram, 1.0 / self.alpha)
        weights = min_norm(gram)[0] if solution is None else solution
        return as_weights(weights, evidence.gramian), counted(state, solution is not None)
