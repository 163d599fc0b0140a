"""UPGrad and DualProj: projection onto the cone of directions that hurt no task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from scalarize.methods import preference
from scalarize.methods.base import Method
from scalarize.methods.checks import counted, flag, in_range, no_failures
from scalarize.methods.evidence import Evidence, Needs, State
from scalarize.methods.gram import Array, Gram, as_weights
from scalarize.methods.registry import register
from scalarize.methods.solvers import onto_dual_cone


def _regularized(gramian: Tensor, regularization: float) -> Gram:
    """``G / trace + regularization I``, with G as 0 if its trace is below 1e-4 (the published default's rule)."""
    g = gramian.detach().double().cpu().numpy()
    trace = float(g.trace())
    scaled = g / trace if trace >= 1e-4 else np.zeros_like(g)
    return Gram.of_array(scaled + regularization * np.eye(len(g)), Gram.of(gramian).eps)


@dataclass(eq=False)
class _DualCone(Method):
    """Common ground of both. A solver that does not converge is counted; that vector is then left unprojected."""

    family = "gradient-based"
    needs = Needs.GRAMIAN
    heads = "own"
    paper = "Quinton and Rey 2024"
    non_conflicting = True
    task_axes = {"preference": 1}
    regularization: float = 0.0
    times_tasks: bool = False
    preference: Sequence[float] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        in_range(self, "regularization", 0.0)
        flag(self, "times_tasks")
        preference.check(self)

    def init(self, n_tasks: int) -> State:
        return {**no_failures(), **preference.entry(self, n_tasks)}

    def weigh(self, evidence: Evidence, state: State) -> tuple[Tensor, State]:
        assert evidence.gramian is not None
        exact = self.regularization == 0
        gram = Gram.of(evidence.gramian) if exact else _regularized(evidence.gramian, self.regularization)
        total, converged = np.zeros(gram.n_tasks), True
        for given in self._projected(preference.shares(state, gram.n_tasks)):
            weights, good = onto_dual_cone(gram, given)
            total += weights if good else given
            converged &= good
        total = total * gram.n_tasks if self.times_tasks else total
        return as_weights(total, evidence.gramian), counted(state, converged)

    def _projected(self, wanted: Array) -> Array:
        """The weights of the vectors that are projected, one per row; ``wanted`` is the preference (T,)."""
        raise NotImplementedError


@register
@dataclass(eq=False)
class UPGrad(_DualCone):
    """The mean of the task gradients, each projected onto the dual cone (Quinton and Rey 2024, equation 4).

    The dual cone holds the d with ``g_i . d >= 0`` for all i.

    Args:
        regularization: r >= 0: the projection uses ``G / trace + r I`` instead of G, with G as 0 if its trace is below
            1e-4. Default 0, the paper's projection; 1e-4 is the default of its authors' library.
        times_tasks: if True, the sum instead of the mean, as in other code. Default False.
        preference: T numbers >= 0, normalised to sum 1, by which the projections are added in place of their mean.
            Default: all the same.

    Raises:
        RequestError: regularization is negative, or the preference is negative, all 0 or of another length than T.
        RunError: the Gramian is not finite.

    Cost: T backwards, T x P numbers, and T quadratic programmes of size T.

    Fails: if gradients nearly cancel, the cone is thin and the step short: training stalls at Pareto-stationary points
    that are far from good; noise opens and closes the cone from batch to batch.

    Our choice: a projection whose solver does not converge is counted, and that gradient is left unprojected.
    """

    name = "upgrad"

    def _projected(self, wanted: Array) -> Array:
        return np.diag(wanted)


@register
@dataclass(eq=False)
class DualProj(_DualCone):
    """The mean gradient projected onto the dual cone (Quinton and Rey 2024, section 4; Lopez-Paz and Ranzato 2017).

    The dual cone holds the d with ``g_i . d >= 0`` for all i.

    Args:
        regularization: as for ``upgrad``. Default 0.
        times_tasks: if True, the sum of the gradients instead of their mean is projected. Default False.
        preference: T numbers >= 0, normalised to sum 1: the weights of the gradient that is projected, in place of the
            mean's. Default: all the same.

    Raises:
        RequestError: regularization is negative, or the preference is negative, all 0 or of another length than T.
        RunError: the Gramian is not finite.

    Cost: T backwards, T x P numbers, and a quadratic programme of size T.

    Fails: the longest gradients decide the mean that is projected, so the result is not linear in any one task's scale
    (the reason its authors give for ``upgrad``); it stalls at Pareto-stationary points.

    Our choice: if the solver does not converge it is counted, and the mean gradient is left unprojected.
    """

    name = "dualproj"

    def _projected(self, wanted: Array) -> Array:
        return wanted[None]
