"""Aligned-MTL: the gradients are made orthogonal and equally long before they are added."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from scalarize.methods.base import Evidence, Method, Needs, State
from scalarize.methods.checks import one_choice
from scalarize.methods.gram import Array, Gram, as_weights
from scalarize.methods.registry import register


@register
@dataclass(eq=False)
class AlignedMTL(Method):
    """``w = sigma V L^(-1/2) V^T p`` with ``G = V L V^T`` (Senushkin et al. 2023, algorithm 1), p = 1/T.

    scale: sigma is the root of the least eigenvalue that is not zero (``"min"``, the paper), of their median
    (``"median"``, the lower one) or of their mean (``"rmse"``). Other implementations take p = 1, which is T times
    the gradient. Directions in which G is zero are left out; where all gradients are zero, w = p.
    """

    name = "aligned-mtl"
    family = "gradient-based"
    needs = Needs.GRAMIAN
    heads = "own"
    paper = "Senushkin et al. 2023"
    scale: str = "min"

    def __post_init__(self) -> None:
        super().__post_init__()
        one_choice(self, "scale", ("min", "median", "rmse"))

    def weigh(self, evidence: Evidence, state: State) -> tuple[Tensor, State]:
        assert evidence.gramian is not None
        return as_weights(self._align(Gram.of(evidence.gramian)), evidence.gramian), state

    def _align(self, gram: Gram) -> Array:
        preference = np.full(gram.n_tasks, 1.0 / gram.n_tasks)
        vectors, roots, _ = np.linalg.svd(gram.factor, full_matrices=False)
        keep = roots**2 > gram.n_tasks * gram.eps * (roots**2).max(initial=0.0)
        vectors, roots = vectors[:, keep], roots[keep]
        if roots.size == 0:
            return preference
        falling = roots**2
        picked = {"min": falling[-1], "median": falling[falling.size // 2], "rmse": falling.mean()}[self.scale]
        return np.asarray(vectors @ (vectors.T @ preference * np.sqrt(picked) / roots))
