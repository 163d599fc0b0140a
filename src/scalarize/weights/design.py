"""Points spread over the simplex, the same each time: the preferences at which a front is looked at."""

from __future__ import annotations

import numpy as np

from scalarize.utils.errors import RequestError
from scalarize.weights import simplex
from scalarize.weights.simplex import Weights

POOL = 4000  # draws among which points are chosen


def design(n_tasks: int, points: int) -> list[Weights]:
    """Spread points over the simplex.

    Of two tasks they are evenly spaced, from the first task alone to the second alone. Of more they are the corners,
    the centre, and points that are each as far as can be from those before, of seeded draws over the whole simplex.

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
    found = [*np.eye(n_tasks), simplex.uniform(n_tasks)][:points]
    drawn = simplex.normalise_rows(np.random.default_rng(0).exponential(size=(POOL + points, n_tasks)))
    pool = drawn[:POOL]
    far = np.min([((pool - point) ** 2).sum(axis=1) for point in found], axis=0)
    while len(found) < points:
        if len(found) >= POOL // 8:  # the pool keeps no more of them apart; draws themselves are spread as well
            found.append(drawn[POOL + len(found)])
            continue
        found.append(pool[int(np.argmax(far))])
        far = np.minimum(far, ((pool - found[-1]) ** 2).sum(axis=1))
    return found
