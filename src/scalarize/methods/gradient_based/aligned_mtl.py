"""Aligned-MTL: the gradients are made orthogonal and equally long before they are added."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from scalarize.methods import preference
from scalarize.methods.base import Method
from scalarize.methods.checks import flag, in_range, one_choice
from scalarize.methods.evidence import Evidence, Needs, State
from scalarize.methods.gram import Array, Gram, as_weights
from scalarize.methods.registry import register


@register
@dataclass(eq=False)
class AlignedMTL(Method):
    """``w = sigma V L^(-1/2) V^T p`` with ``G = V L V^T`` (Senushkin et al. 2023, algorithm 1), p the
    preference.

    Args:
        scale: sigma: the root of the least eigenvalue that is not zero (``"min"``, the paper), of their lower median
            (``"median"``) or of their mean (``"rmse"``). Default ``"min"``.
        rank_eps: share, in [0, 1]: an eigenvalue below ``T rank_eps`` times the largest counts as zero. Default: the
            precision of the gradients; the authors' code has 1.2e-7, that of float32.
        times_tasks: if True, T p in place of p, as in other implementations. Default False.
        preference: T numbers >= 0, normalised to sum 1. Default: all the same, p = 1/T.

    Raises:
        RequestError: scale is unknown, rank_eps is outside [0, 1], or the preference is negative, all 0 or of another
            length than T.
        RunError: the Gramian is not finite.

    Cost: T backwards, T x P numbers, and an eigenproblem of size T.

    Fails: with ``"min"`` two tasks that nearly agree (or nearly oppose each other) have a tiny least eigenvalue, which
    sets the length of the whole step; if the rank is counted otherwise, the step jumps.

    Our choice: directions in which G is zero are left out; if all gradients are zero, w = p.
    """

    name = "aligned-mtl"
    family = "gradient-based"
    needs = Needs.GRAMIAN
    heads = "own"
    paper = "Senushkin et al. 2023"
    task_axes = {"preference": 1}
    scale: str = "min"
    rank_eps: float | None = None
    times_tasks: bool = False
    preference: Sequence[float] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        one_choice(self, "scale", ("min", "median", "rmse"))
        flag(self, "times_tasks")
        if self.rank_eps is not None:
            in_range(self, "rank_eps", 0.0, 1.0)
        preference.check(self)

    def init(self, n_tasks: int) -> State:
        return preference.entry(self, n_tasks)

    def weigh(self, evidence: Evidence, state: State) -> tuple[Tensor, State]:
        assert evidence.gramian is not None
        return as_weights(self._align(Gram.of(evidence.gramian), state), evidence.gramian), state

    def _align(self, gram: Gram, state: State) -> Array:
        wanted = preference.shares(state, gram.n_tasks, gram.n_tasks if self.times_tasks else 1.0)
        vectors, roots, _ = np.linalg.svd(gram.factor, full_matrices=False)
        eps = gram.eps if self.rank_eps is None else max(gram.eps, self.rank_eps)
        keep = roots**2 > gram.n_tasks * eps * (roots**2).max(initial=0.0)
        vectors, roots = vectors[:, keep], roots[keep]
        if roots.size == 0:
            return wanted
        falling = roots**2
        picked = {"min": falling[-1], "median": falling[falling.size // 2], "rmse": falling.mean()}[self.scale]
        return np.asarray(vectors @ (vectors.T @ wanted * np.sqrt(picked) / roots))
