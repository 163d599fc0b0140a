"""Points on the probability simplex: the one module that decides which task weights are valid.

All functions are pure. Weights are float64 numpy arrays of shape (T,), non-negative, with sum 1. Random numbers come
from a ``numpy.random.Generator`` that the caller passes.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scalarize.utils.errors import RequestError

Weights = NDArray[np.float64]


def normalise(weights: ArrayLike) -> Weights:
    """Scale weights so that they sum to 1.

    Args:
        weights: finite numbers >= 0, shape (T,), T >= 1, at least one of them above 0.

    Returns:
        The simplex point (T,) proportional to ``weights``.

    Raises:
        RequestError: ``weights`` is empty or not one-dimensional, an entry is negative or not finite, or all are 0.

    >>> normalise([1, 3]).tolist()
    [0.25, 0.75]
    """
    w = np.asarray(weights, dtype=np.float64)
    if w.ndim != 1 or w.size == 0:
        raise RequestError(f"task weights must be a non-empty list of numbers, got shape {w.shape}")
    if not np.isfinite(w).all() or (w < 0).any():
        raise RequestError(f"task weights must be finite and >= 0, got {w.tolist()}")
    w = w / w.max() if w.max() > 0 else w  # so that the sum of tiny or huge weights neither under- nor overflows
    if w.sum() <= 0:
        raise RequestError("task weights must not all be 0")
    return np.asarray(w / w.sum(), dtype=np.float64)


def uniform(n_tasks: int) -> Weights:
    """Return equal weights.

    Args:
        n_tasks: number of tasks T, at least 1.

    Returns:
        Weights (T,), each 1/T.

    >>> uniform(4).tolist()
    [0.25, 0.25, 0.25, 0.25]
    """
    return np.full(n_tasks, 1.0 / n_tasks)


def inverse(losses: ArrayLike, epsilon: float = 1e-12) -> Weights:
    """Return weights inversely proportional to losses, so that all weighted losses are equal.

    Args:
        losses: one loss per task, shape (T,); signs are ignored.
        epsilon: smallest loss that is divided by; smaller ones, 0 included, are raised to it. Default 1e-12.

    Returns:
        Weights (T,).

    Raises:
        RequestError: a loss is not finite, or there is none.

    >>> inverse([1.0, 3.0]).tolist()
    [0.75, 0.25]
    """
    return normalise(1.0 / np.maximum(np.abs(np.asarray(losses, dtype=np.float64)), epsilon))


def normalise_rows(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Apply :func:`normalise` to every row: many members of a population at once.

    Args:
        weights: shape (M, T), one row per member.

    Returns:
        Weights (M, T); every row sums to 1.

    Raises:
        RequestError: an entry is negative or not finite, or all entries of a row are 0.

    >>> normalise_rows(np.array([[1.0, 3.0], [2.0, 2.0]])).tolist()
    [[0.25, 0.75], [0.5, 0.5]]
    """
    w = np.asarray(weights, dtype=np.float64)
    peak = w.max(axis=1, keepdims=True)
    if not np.isfinite(peak).all() or (w < 0).any() or (peak <= 0).any():
        raise RequestError("task weights must be finite, >= 0 and not all 0 in every row")
    w = w / peak
    w /= w.sum(axis=1, keepdims=True)
    return np.asarray(w)


def apply_floor(weights: NDArray[np.float64], floors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Raise weights below a floor and shrink what the others have above theirs, so that rows still sum to 1.

    Args:
        weights: shape (M, T), every row on the simplex.
        floors: smallest weight of each task, shape (T,), with a sum below 1.

    Returns:
        Weights (M, T). Rows that are nowhere below the floors are returned unchanged.

    >>> apply_floor(np.array([[0.0, 1.0], [0.5, 0.5]]), np.array([0.25, 0.25])).tolist()
    [[0.25, 0.75], [0.5, 0.5]]
    """
    low = (weights < floors).any(axis=1)
    if not low.any():
        return weights
    result = weights.copy()
    # The excess over the floors is scaled down so that the sum is 1 again; entries at their floor stay there.
    excess = np.maximum(weights[low], floors) - floors
    result[low] = floors + excess * ((1.0 - floors.sum()) / excess.sum(axis=1, keepdims=True))
    return result


def project(point: ArrayLike) -> Weights:
    """Project a point onto the simplex: the weights nearest to it in Euclidean distance.

    The algorithm sorts the entries and subtracts one threshold from all of them (Held, Wolfe and Crowder 1974,
    Validation of subgradient optimization).

    Args:
        point: any finite numbers, shape (T,).

    Returns:
        Weights (T,).

    >>> project([0.5, 1.5]).tolist()
    [0.0, 1.0]
    """
    x = np.asarray(point, dtype=np.float64)
    falling = np.sort(x)[::-1]
    surplus = (np.cumsum(falling) - 1.0) / np.arange(1, x.size + 1)
    return np.asarray(np.maximum(x - surplus[np.flatnonzero(falling > surplus)[-1]], 0.0))


def sample_dirichlet(rng: np.random.Generator, center: ArrayLike, concentration: float) -> Weights:
    """Draw weights from a Dirichlet distribution.

    Args:
        rng: the generator that is drawn from.
        center: mean of the distribution, shape (T,); it is normalised.
        concentration: sum of the Dirichlet parameters, above 0; the larger, the closer to ``center``. A uniform center
            with concentration T gives the uniform distribution over the simplex.

    Returns:
        Weights (T,).

    Raises:
        RequestError: ``center`` cannot be normalised.

    >>> weights = sample_dirichlet(np.random.default_rng(0), [0.5, 0.3, 0.2], concentration=10.0)
    >>> weights.shape, bool(abs(weights.sum() - 1) < 1e-9)
    ((3,), True)
    """
    alpha = np.maximum(normalise(center) * concentration, 1e-6)
    # Gamma draws of a small shape underflow to zero; in log space they do not.
    log_gamma = np.log(rng.gamma(alpha + 1.0)) + np.log(rng.uniform(size=alpha.size)) / alpha
    return normalise(np.exp(log_gamma - log_gamma.max()))


def grid(n_tasks: int, steps: int) -> list[Weights]:
    """List all points whose entries are multiples of 1/``steps``, in lexicographic order.

    Args:
        n_tasks: number of tasks T, at least 1.
        steps: number of steps from 0 to 1 along each weight, at least 1.

    Returns:
        A list of binomial(``steps`` + T - 1, T - 1) weights (T,).

    >>> [w.tolist() for w in grid(2, 2)]
    [[0.0, 1.0], [0.5, 0.5], [1.0, 0.0]]
    """
    points = (c for c in itertools.product(range(steps + 1), repeat=n_tasks - 1) if sum(c) <= steps)
    return [np.array([*c, steps - sum(c)], dtype=np.float64) / steps for c in points]


def to_log_ratio(weights: ArrayLike, floor: float = 1e-9) -> NDArray[np.float64]:
    """Map weights to isometric log-ratio coordinates: the interior of the simplex becomes all of R^(T-1).

    Coordinates are the centred logarithms of the weights in an orthonormal Helmert basis (Egozcue et al. 2003,
    Isometric logratio transformations for compositional data analysis). A uniform point maps to 0.

    Args:
        weights: shape (T,), or (M, T) for M points at once; they are normalised.
        floor: smallest weight whose logarithm is taken; smaller ones, 0 included, are raised to it. Default 1e-9.

    Returns:
        Coordinates (T-1,), or (M, T-1).

    Raises:
        RequestError: the weights cannot be normalised.

    >>> to_log_ratio([0.25, 0.25, 0.25, 0.25]).tolist()
    [0.0, 0.0, 0.0]
    """
    w = np.asarray(weights, dtype=np.float64)
    logs = np.log(np.maximum(normalise_rows(w) if w.ndim == 2 else normalise(w), floor))
    return np.asarray((logs - logs.mean(axis=-1, keepdims=True)) @ _basis(logs.shape[-1]))


def _basis(n_tasks: int) -> NDArray[np.float64]:
    """Orthonormal basis (T, T-1) of the vectors with sum 0 (Helmert)."""
    basis = np.zeros((n_tasks, n_tasks - 1))
    for k in range(1, n_tasks):
        basis[:k, k - 1] = 1.0 / k
        basis[k, k - 1] = -1.0
        basis[:, k - 1] *= np.sqrt(k / (k + 1.0))
    return basis
