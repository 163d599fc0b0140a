"""FairGrad: alpha-fair shares of the step."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from scalarize.methods.bargaining import bargain_or_shortest
from scalarize.methods.base import Method
from scalarize.methods.checks import counted, flag, in_range, no_failures
from scalarize.methods.evidence import Evidence, Needs, State
from scalarize.methods.gram import as_weights
from scalarize.methods.registry import register


@register
@dataclass(eq=False)
class FairGrad(Method):
    """The weights w > 0 with ``G w = w^(-1/alpha)`` (Ban and Ji 2024, equation 4).

    Args:
        alpha: fairness, > 0; larger values favour the task that gains least. Default 1, as in the authors' code, which
            is Nash-MTL.
        times_tasks: if True, T times the gradient, as in the authors' code. Default False.

    Raises:
        RequestError: alpha is not above 0.
        RunError: the Gramian is not finite.

    Cost: T backwards, T x P numbers, and Newton's method in T unknowns.

    Fails: the step's length goes as the gradients' to the power (1 - alpha) / (1 + alpha): for alpha >= 1 it does not
    shrink with them, and the learning rate has to fall at the end; near Pareto-stationary points the weights grow
    without bound.

    Our choice: there is no solution if a gradient is zero or the point is Pareto-stationary (in float64, to an angle of
    179.9999 degrees): that is counted, and the direction is MGDA's, the shortest vector in the gradients' hull.
    """

    name = "fairgrad"
    family = "gradient-based"
    needs = Needs.GRAMIAN
    heads = "own"
    paper = "Ban and Ji 2024"
    non_conflicting = True
    homogeneity = None  # (1 - alpha) / (1 + alpha)
    alpha: float = 1.0
    times_tasks: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        in_range(self, "alpha", 0.0, open_low=True)
        flag(self, "times_tasks")

    def init(self, n_tasks: int) -> State:
        return no_failures()

    def weigh(self, evidence: Evidence, state: State) -> tuple[Tensor, State]:
        assert evidence.gramian is not None
        weights, gram, solved = bargain_or_shortest(evidence, 1.0 / self.alpha)
        weights = weights * gram.n_tasks if self.times_tasks else weights
        return as_weights(weights, evidence.gramian), counted(state, solved)
