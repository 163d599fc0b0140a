"""Pareto fronts and hypervolume, by moocore's algorithms."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scalarize.utils.errors import RequestError


def _points(points: ArrayLike, maximise: bool | Sequence[bool]) -> tuple[NDArray[np.float64], list[bool]]:
    array = np.asarray(points, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] < 1:
        raise RequestError(f"Pareto: points must be a table (points, objectives), got shape {array.shape}")
    if not np.isfinite(array).all():
        raise RequestError("Pareto: every objective of every point must be a finite number")
    directions = [maximise] * array.shape[1] if isinstance(maximise, bool) else [bool(m) for m in maximise]
    if len(directions) != array.shape[1]:
        raise RequestError(f"Pareto: {len(directions)} directions for {array.shape[1]} objectives")
    return array, directions


def nondominated(points: ArrayLike, maximise: bool | Sequence[bool] = True) -> NDArray[np.bool_]:
    """Return a mask (N,) of the points (N, M) that no other point dominates.

    A point dominates another if it is at least as good everywhere and better somewhere. Equal points are all kept.
    Raises RequestError for NaN or a wrong shape.
    """
    import moocore

    array, directions = _points(points, maximise)
    if not len(array):
        return np.zeros(0, dtype=bool)
    return np.asarray(moocore.is_nondominated(array, maximise=directions, keep_weakly=True), dtype=bool)


def hypervolume(points: ArrayLike, reference: ArrayLike, maximise: bool | Sequence[bool] = True) -> float:
    """Return the volume between the front of ``points`` (N, M) and a fixed ``reference`` (M,), the worst corner.

    The reference must be the same for all sets that are compared; points that are not better than it everywhere add
    nothing. Raises RequestError if the reference has another number of objectives.
    """
    import moocore

    array, directions = _points(points, maximise)
    corner = np.asarray(reference, dtype=np.float64)
    if corner.shape != (array.shape[1],) or not np.isfinite(corner).all():
        raise RequestError(f"hypervolume: the reference needs {array.shape[1]} finite numbers, got {corner.tolist()}")
    sign = np.where(directions, -1.0, 1.0)
    inside = (array * sign < corner * sign).all(axis=1)
    if not inside.any():
        return 0.0
    return float(moocore.hypervolume(array[inside], ref=corner, maximise=directions))
