"""ConFIG: the same cosine with every task's gradient, as long as their projections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from scalarize.methods import preference
from scalarize.methods.base import Method
from scalarize.methods.evidence import Evidence, Needs, State
from scalarize.methods.gram import Gram, as_weights
from scalarize.methods.registry import register


@register
@dataclass(eq=False)
class ConFIG(Method):
    """``(sum_i g_i . u) u`` with u the unit vector along ``pinv(U) 1``, U the unit gradients (Liu et al. 2024,
    equations 2 and 3). Weights may be negative.

    Args:
        preference: T numbers >= 0, in place of the ones: the cosines with the tasks' gradients are in this proportion.
            Default: all the same.

    Raises:
        RequestError: the preference is negative, all 0 or of another length than T.
        RunError: the Gramian is not finite.

    Cost: T backwards, T x P numbers, and an eigenproblem of size T.

    Fails: gradients that nearly cancel leave a short step in a direction that rounding and batch noise decide; with
    more tasks than parameters no direction has the same cosine with all, and what remains is least squares.

    Our choice: of dependent gradients the pseudo-inverse makes the least-squares direction; if that is 0, so is the
    gradient.
    """

    name = "config"
    family = "gradient-based"
    needs = Needs.GRAMIAN
    heads = "own"
    paper = "Liu et al. 2024"
    non_conflicting = True
    row_scale_invariant = True
    task_axes = {"preference": 1}
    preference: Sequence[float] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        preference.check(self)

    def init(self, n_tasks: int) -> State:
        return preference.entry(self, n_tasks)

    def weigh(self, evidence: Evidence, state: State) -> tuple[Tensor, State]:
        assert evidence.gramian is not None
        gram = Gram.of(evidence.gramian)
        x = gram.pinv_cosines(gram.nonzero * preference.shares(state, gram.n_tasks, gram.n_tasks))
        along = gram.cosines @ x  # u_i . (x @ U)
        square = float(x @ along)
        if square <= gram.tolerance * float(x @ x):
            return as_weights(np.zeros_like(x), evidence.gramian), state
        inverse = np.divide(1.0, gram.norms, out=np.zeros_like(x), where=gram.nonzero)
        return as_weights(float(gram.norms @ along) / square * x * inverse, evidence.gramian), state
