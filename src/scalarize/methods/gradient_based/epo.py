"""EPO search: to the point of the front at which all tasks' losses times preference are the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from scalarize.methods import preference
from scalarize.methods.base import Method
from scalarize.methods.checks import counted, flag, in_range, losses_of, no_failures, positive
from scalarize.methods.evidence import Evidence, Needs, State
from scalarize.methods.gram import Array, Gram, as_weights
from scalarize.methods.linear_program import on_simplex
from scalarize.methods.registry import register


@register
@dataclass(eq=False)
class EPO(Method):
    """Exact Pareto optimal search (Mahapatra and Rajan 2020, algorithm 1): simplex weights by a linear programme.

    With the preference r and ``s = r L / sum(r L)``, the non-uniformity is ``mu = sum s log(T s)`` and the adjustment
    ``a = r (log(T s) - mu)``. While mu is above ``tolerance`` the weights balance: they maximise ``w.G a`` under
    ``(G w)_t >= 0`` for the tasks with the largest ``r L``, and ``(G w)_t >= min((G a)_t, 0)`` for those that balancing
    would make worse. Otherwise they descend: they maximise ``sum G w`` under ``G w >= 0`` and, unless ``relaxed``,
    ``w.G a >= min(max G a, 0)``. A task with a larger entry ends with a smaller loss.

    Args:
        preference: T numbers >= 0, normalised to sum 1. Default: all the same.
        tolerance: non-uniformity up to which losses count as balanced, >= 0. Default 1e-4, as in the authors' code.
        relaxed: if True, the descent may unbalance (theirs: relaxed and restricted). Default False.
        times_tasks: if True, the weights sum to T, as in the authors' code for networks. Default False.

    Raises:
        RequestError: the preference is negative, all 0 or of another length than T, tolerance is negative, or losses
            are missing.
        RunError: the Gramian is not finite, or a loss is below 0.

    Cost: T backwards, T x P numbers, and a linear programme of T weights.

    Fails: r L is compared in the losses' own units, so losses of other units need r in theirs; a task whose loss cannot
    fall far enough is pushed to the end while the others are made worse. A vertex of the programme often gives some
    tasks the weight 0, and then their heads do not train in that step.

    Our choice: a task whose entry is 0 has no adjustment. A programme without a solution is counted, and the preference
    itself is used; a restricted one is first tried relaxed.
    """

    name = "epo"
    family = "gradient-based"
    needs = Needs.GRAMIAN
    heads = "weighted"
    paper = "Mahapatra and Rajan 2020"
    task_axes = {"preference": 1}
    preference: Sequence[float] | None = None
    tolerance: float = 1e-4
    relaxed: bool = False
    times_tasks: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        preference.check(self)
        in_range(self, "tolerance", 0.0)
        flag(self, "relaxed")
        flag(self, "times_tasks")

    @property
    def ignores_zero_losses(self) -> bool:
        """True: a loss of 0 has no logarithm."""
        return True

    def init(self, n_tasks: int) -> State:
        return {**no_failures(), **preference.entry(self, n_tasks)}

    def weigh(self, evidence: Evidence, state: State) -> tuple[Tensor, State]:
        assert evidence.gramian is not None
        gram = Gram.of(evidence.gramian)
        losses = positive(losses_of(evidence, self), self).double().cpu().numpy()
        wanted = preference.shares(state, gram.n_tasks)
        weights, solved = self._programme(gram.gramian, losses, wanted) if wanted.any() else (wanted, True)
        weights = weights * gram.n_tasks if self.times_tasks else weights
        return as_weights(weights, evidence.gramian), counted(state, solved)

    def _programme(self, g: Array, losses: Array, wanted: Array) -> tuple[Array, bool]:
        weighted = wanted * losses
        share = weighted / weighted.sum()
        logs = np.log(np.where(share > 0, share, 1.0) * share.size)
        uneven = float(share @ logs)
        adjusted = g @ (wanted * (logs - uneven))
        if uneven > self.tolerance:
            bounds = np.zeros(share.size)
            kept = np.ones(share.size, dtype=bool)
            if (adjusted > 0).any():
                largest = weighted == weighted.max()
                bounds = np.where(largest, 0.0, np.minimum(adjusted, 0.0))
                kept = largest | (adjusted <= 0)
            return on_simplex(adjusted, g[kept], bounds[kept], wanted)
        zeros = np.zeros(share.size)
        if not self.relaxed:
            rows, bounds = np.vstack([g, adjusted]), np.append(zeros, min(float(adjusted.max()), 0.0))
            weights, solved = on_simplex(g.sum(axis=1), rows, bounds, wanted)
            if solved:
                return weights, solved
        return on_simplex(g.sum(axis=1), g, zeros, wanted)
