"""The Gramian as cosines and norms, in float64 numpy: the coordinates in which solvers do not see scale.

A Gramian is ``G = D C D`` with the norms ``D = diag(n)`` and the cosines ``C``. Its entries are accurate to
``eps * n_i * n_j``, so ``C`` is accurate to ``eps`` however differently the gradients are scaled; with ``v = n * w``
every problem in ``w`` becomes one in ``v`` whose matrix has a unit diagonal.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scalarize.utils.errors import RunError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Gram:
    """The Gramian as ``cosines`` (T, T), zero rows for zero gradients, and ``norms`` (T,); ``eps`` is its precision."""

    cosines: Array
    norms: Array
    eps: float

    @classmethod
    def of(cls, gramian: Tensor) -> Gram:
        """Make it from G (T, T). Raises RunError if it is not finite."""
        return cls.of_array(gramian.detach().double().cpu().numpy(), torch.finfo(gramian.dtype).eps)

    @classmethod
    def of_array(cls, g: Array, eps: float = float(np.finfo(np.float64).eps)) -> Gram:
        """Make it from G (T, T) in float64. Raises RunError if it is not finite."""
        if not np.isfinite(g).all():
            raise RunError("the gradients' inner products are not finite")
        norms = np.sqrt(np.maximum(g.diagonal(), 0.0))
        inverse = np.divide(1.0, norms, out=np.zeros_like(norms), where=norms > 0)
        cosines = (g + g.T) * (0.5 * inverse) * inverse[:, None]
        return cls(cosines, norms, eps)

    def scaled(self, by: Array) -> Gram:
        """Return it for the gradients times ``by`` (T,) >= 0; one that comes to 0, by underflow too, is a zero
        gradient."""
        norms = self.norms * by
        live = norms > 0
        return Gram(self.cosines * live * live[:, None], norms, self.eps)

    @property
    def n_tasks(self) -> int:
        return int(self.norms.size)

    @property
    def nonzero(self) -> NDArray[np.bool_]:
        """True for gradients that are not zero (T,)."""
        return self.norms > 0

    @property
    def gramian(self) -> Array:
        """G divided by its largest diagonal entry (all zeros stay)."""
        n = self.norms / (self.norms.max() or 1.0)
        return np.asarray(self.cosines * n * n[:, None])

    @property
    def tolerance(self) -> float:
        """The share of the largest eigenvalue of the cosines below which one is zero to within rounding."""
        return 100.0 * self.eps * self.n_tasks

    @cached_property
    def spectrum(self) -> tuple[Array, Array]:
        """Eigenvalues (r,) of the cosines that are not zero, and their eigenvectors (T, r)."""
        values, vectors = np.linalg.eigh(self.cosines)
        keep = values > self.tolerance * max(float(values[-1]), 0.0)
        return values[keep], vectors[:, keep]

    def pinv_cosines(self, b: Array) -> Array:
        """Return ``pinv(C) b`` (T,)."""
        values, vectors = self.spectrum
        return np.asarray(vectors @ ((vectors.T @ b) / values))

    def cancels(self, v: Array, slack: float = 1e3) -> bool:
        """True if ``sum v_i u_i``, u the unit gradients and v >= 0 (T,), is 0 to within ``slack`` times rounding."""
        bound = slack * self.eps * self.n_tasks * float(v.sum()) ** 2
        return float(v @ self.cosines @ v) <= bound

    @cached_property
    def factor(self) -> Array:
        """F (T, r) of full column rank with ``F F^T = G / max(n)^2``: it stands for the Jacobian, more accurately
        than G does if the gradients are scaled differently."""
        values, vectors = self.spectrum
        n = self.norms / (self.norms.max() or 1.0)
        return np.asarray(n[:, None] * vectors * np.sqrt(values))


def as_weights(weights: Array, like: Tensor) -> Tensor:
    """Convert weights (T,) to a tensor with the dtype and on the device of ``like``."""
    made = torch.from_numpy(np.ascontiguousarray(weights)).to(like.dtype)
    # From pinned memory the copy does not wait for the work that the GPU has yet to do.
    return made.pin_memory().to(like.device, non_blocking=True) if like.is_cuda else made.to(like.device)
