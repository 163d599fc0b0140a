"""Task weights: points on the probability simplex. Nothing else knows how weights are made valid.

All functions are pure; weights are float64 numpy arrays of shape (T,), non-negative, with sum 1. Randomness comes
from a ``numpy.random.Generator`` that the caller passes.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scalarize.utils.errors import RequestError

Weights = NDArray[np.float64]


def normalise(weights: ArrayLike) -> Weights:
    """The simplex point proportional to ``weights`` (T,).

    Raises RequestError for an empty list, a negative or non-finite entry, or all zeros.

    >>> normalise([1, 3]).tolist()
    [0.25, 0.75]
    """
    w = np.asarray(weights, dtype=np.float64)
    if w.ndim != 1 or w.size == 0:
        raise RequestError(f"task weights must be a non-empty list of numbers, got shape {w.shape}")
    if not np.isfinite(w).all() or (w < 0).any():
        raise RequestError(f"task weights must be finite and >= 0, got {w.tolist()}")
    w = w / w.max() if w.max() > 0 else w  # so that neither tiny nor huge weights lose their sum
    if w.sum() <= 0:
        raise RequestError("task weights must not all be 0")
    return np.asarray(w / w.sum(), dtype=np.float64)


def uniform(n_tasks: int) -> Weights:
    """1/T for each of ``n_tasks`` tasks."""
    return np.full(n_tasks, 1.0 / n_tasks)


def inverse(losses: ArrayLike, epsilon: float = 1e-12) -> Weights:
    """Weights inverse to ``losses`` (T,): every weighted loss is the same. Zero losses count as ``epsilon``."""
    return normalise(1.0 / np.maximum(np.abs(np.asarray(losses, dtype=np.float64)), epsilon))


def normalise_rows(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """:func:`normalise` of every row of (M, T), for many members at once."""
    w = np.asarray(weights, dtype=np.float64)
    peak = w.max(axis=1, keepdims=True)
    if not np.isfinite(peak).all() or (w < 0).any() or (peak <= 0).any():
        raise RequestError("task weights must be finite, >= 0 and not all 0 in every row")
    w = w / peak
    w /= w.sum(axis=1, keepdims=True)
    return np.asarray(w)


def apply_floor(weights: NDArray[np.float64], floors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows of (M, T) raised to ``floors`` (T,), whose sum is below 1; rows above their floors stay as they are."""
    low = (weights < floors).any(axis=1)
    if not low.any():
        return weights
    result = weights.copy()
    # What lies above the floors is scaled down so that the sum is 1 again; entries at their floor stay there.
    excess = np.maximum(weights[low], floors) - floors
    result[low] = floors + excess * ((1.0 - floors.sum()) / excess.sum(axis=1, keepdims=True))
    return result


def project(point: ArrayLike) -> Weights:
    """The simplex point nearest to ``point`` (T,) in the Euclidean sense (Held, Wolfe and Crowder 1974).

    >>> project([0.5, 1.5]).tolist()
    [0.0, 1.0]
    """
    x = np.asarray(point, dtype=np.float64)
    falling = np.sort(x)[::-1]
    surplus = (np.cumsum(falling) - 1.0) / np.arange(1, x.size + 1)
    return np.asarray(np.maximum(x - surplus[np.flatnonzero(falling > surplus)[-1]], 0.0))


def sample_dirichlet(rng: np.random.Generator, center: ArrayLike, concentration: float) -> Weights:
    """A Dirichlet draw with mean ``center`` and total ``concentration`` (uniform center and T: the flat one)."""
    alpha = np.maximum(normalise(center) * concentration, 1e-6)
    # Gamma draws of a small shape underflow to zero; in log space they do not.
    log_gamma = np.log(rng.gamma(alpha + 1.0)) + np.log(rng.uniform(size=alpha.size)) / alpha
    return normalise(np.exp(log_gamma - log_gamma.max()))


def grid(n_tasks: int, steps: int) -> list[Weights]:
    """All points whose entries are multiples of 1/``steps``, in lexicographic order.

    >>> [w.tolist() for w in grid(2, 2)]
    [[0.0, 1.0], [0.5, 0.5], [1.0, 0.0]]
    """
    points = (c for c in itertools.product(range(steps + 1), repeat=n_tasks - 1) if sum(c) <= steps)
    return [np.array([*c, steps - sum(c)], dtype=np.float64) / steps for c in points]


def to_log_ratio(weights: ArrayLike, floor: float = 1e-9) -> NDArray[np.float64]:
    """Isometric log-ratio coordinates (T-1,), or of every row (M, T-1): an unconstrained chart of the interior."""
    w = np.asarray(weights, dtype=np.float64)
    logs = np.log(np.maximum(normalise_rows(w) if w.ndim == 2 else normalise(w), floor))
    return np.asarray((logs - logs.mean(axis=-1, keepdims=True)) @ _basis(logs.shape[-1]))


def _basis(n_tasks: int) -> NDArray[np.float64]:
    """An orthonormal basis (T, T-1) of the vectors with sum 0 (Helmert)."""
    basis = np.zeros((n_tasks, n_tasks - 1))
    for k in range(1, n_tasks):
        basis[:k, k - 1] = 1.0 / k
        basis[k, k - 1] = -1.0
        basis[:, k - 1] *= np.sqrt(k / (k + 1.0))
    return basis
