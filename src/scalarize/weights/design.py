"""Points spread over the simplex, the same each time: the preferences at which a front is looked at."""

from __future__ import annotations

import numpy as np

from scalarize.utils.errors import RequestError
from scalarize.weights import simplex
from scalarize.weights.simplex import Weights


def design(n_tasks: int, points: int) -> list[Weights]:
    """Spread points over the simplex.

    Of two tasks they are evenly spaced, from the first task alone to the second alone. Of more they are the corners,
    the centre, and points of a low-discrepancy sequence (the additive recurrence with the root of x^T = x + 1), the
    gaps between whose sorted coordinates are a point of the simplex.

    Args:
        n_tasks: number T of tasks, at least 1.
        points: number of points, at least 1.

    Returns:
        A list of ``points`` weights (T,).

    Raises:
        RequestError: ``points`` is below 1.

    >>> [w.tolist() for w in design(2, 3)]
    [[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]
    >>> len(design(4, 11)), design(4, 11)[4].tolist()
    (11, [0.25, 0.25, 0.25, 0.25])
    """
    if points < 1:
        raise RequestError(f"`points` must be at least 1, got {points}")
    if points == 1:
        return [simplex.uniform(n_tasks)]
    if n_tasks == 2:
        return [np.array([1.0 - share, share]) for share in np.linspace(0.0, 1.0, points)]
    first = [*np.eye(n_tasks), simplex.uniform(n_tasks)][:points]
    return [*first, *(_inside(n_tasks, k) for k in range(1, points - len(first) + 1))]


def _inside(n_tasks: int, number: int) -> Weights:
    """Return the point of that number, from 1, of a low-discrepancy sequence on the simplex."""
    root = 2.0
    for _ in range(64):  # of x^T = x + 1, by iteration, which contracts
        root = (1.0 + root) ** (1.0 / n_tasks)
    steps = root ** -np.arange(1.0, n_tasks)
    inner = np.sort((0.5 + number * steps) % 1.0)
    return simplex.normalise(np.diff(np.concatenate([[0.0], inner, [1.0]])))
