"""Nash-MTL: the gradients bargain over the step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from scalarize.methods.bargaining import bargain_or_shortest
from scalarize.methods.base import Method
from scalarize.methods.checks import counted, in_range, no_failures
from scalarize.methods.evidence import Evidence, Needs, State
from scalarize.methods.gram import as_weights
from scalarize.methods.registry import register


@register
@dataclass(eq=False)
class NashMTL(Method):
    """The weights w > 0 with ``G w = 1 / w``: the Nash bargaining solution (Navon et al. 2022, claim 3.1).

    The equation is solved exactly; the gradient's squared norm is then T. The authors' weights that are renewed every
    few steps are the balancer's ``every``.

    Args:
        max_norm: norm to which a longer gradient is shortened, >= 0; 0 leaves it as it is. Default 0 (1.0 in the
            authors' code).

    Raises:
        RequestError: max_norm is negative.
        RunError: the Gramian is not finite.

    Cost: T backwards (every k-th step only, with ``every=k``), T x P numbers, and Newton's method in T unknowns.

    Fails: the step's length is the root of T however small the gradients are, so the learning rate has to fall at the
    end; near Pareto-stationary points the weights grow without bound.

    Our choice: there is no solution if a gradient is zero or the point is Pareto-stationary (in float64, to an angle of
    179.9999 degrees): that is counted, and the direction is MGDA's, the shortest vector in the gradients' hull.
    """

    name = "nash-mtl"
    family = "gradient-based"
    needs = Needs.GRAMIAN
    heads = "weighted"
    paper = "Navon et al. 2022"
    non_conflicting = True
    homogeneity = 0.0
    row_scale_invariant = True
    max_norm: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        in_range(self, "max_norm", 0.0)

    def init(self, n_tasks: int) -> State:
        return no_failures()

    def weigh(self, evidence: Evidence, state: State) -> tuple[Tensor, State]:
        assert evidence.gramian is not None
        weights, gram, solved = bargain_or_shortest(evidence, 1.0)
        if self.max_norm > 0:
            v = weights * gram.norms
            norm = float(np.sqrt(max(float(v @ gram.cosines @ v), 0.0)))
            weights = weights * min(1.0, self.max_norm / norm) if norm > 0 else weights
        return as_weights(weights, evidence.gramian), counted(state, solved)
