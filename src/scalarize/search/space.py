"""The search space: a point on the simplex (of tasks, or of groups that share a weight), and recipe numbers beside it.

Everything here is pure and works on many members at once: M members, T tasks, D coordinates (D = T without groups).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scalarize.utils.errors import RequestError, unknown_name_error
from scalarize.weights import simplex

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Range:
    """The range of a recipe number that is searched beside the weights.

    Args:
        low: smallest value.
        high: greatest value, above ``low``.
        log: True if the number is uniform in its logarithm; ``low`` must then be positive. Default False.
        start: value of the member that begins at the centre. Default: the middle of the range.

    Raises:
        RequestError: the bounds are not finite and increasing, not positive for a logarithmic range, or ``start`` lies
            outside.

    >>> round(Range(1e-4, 1e-2, log=True).middle, 6)
    0.001
    """

    low: float
    high: float
    log: bool = False
    start: float | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise RequestError(f"a range needs finite low < high, got {self.low}:{self.high}")
        if self.log and self.low <= 0:
            raise RequestError(f"a logarithmic range must be positive, got {self.low}:{self.high}")
        if self.start is not None and not self.low <= self.start <= self.high:
            raise RequestError(f"the starting value {self.start} is outside of {self.low}:{self.high}")

    @classmethod
    def parse(cls, text: str) -> Range:
        """Make a range from text.

        Args:
            text: ``log:LOW:HIGH`` or ``lin:LOW:HIGH``.

        Returns:
            The range, logarithmic or linear.

        Raises:
            RequestError: the text is no range.

        >>> Range.parse("log:1e-4:1e-2")
        Range(low=0.0001, high=0.01, log=True, start=None)
        """
        kind, *bounds = text.split(":")
        try:
            if kind not in ("log", "lin") or len(bounds) != 2:
                raise ValueError
            low, high = (float(b) for b in bounds)
        except ValueError:
            raise RequestError(f"{text!r} is no range: write log:LOW:HIGH or lin:LOW:HIGH") from None
        return cls(low, high, kind == "log")

    @property
    def middle(self) -> float:
        """The starting value: ``start``, otherwise the middle of the range (geometric if ``log``)."""
        return float(self.at(0.5)) if self.start is None else self.start

    def at(self, share: ArrayLike) -> Array:
        """Return the values at shares of the way from low to high.

        Args:
            share: numbers in [0, 1], of any shape.

        Returns:
            Values of the same shape.

        >>> Range(0.0, 2.0).at([0.0, 0.5]).tolist()
        [0.0, 1.0]
        """
        u = np.asarray(share, dtype=np.float64)
        if self.log:
            return np.asarray(np.exp(math.log(self.low) + u * math.log(self.high / self.low))).clip(self.low, self.high)
        return np.asarray(self.low + u * (self.high - self.low)).clip(self.low, self.high)


def parse_also(specs: list[str] | tuple[str, ...]) -> dict[str, Range]:
    """Parse ``["optimizer.lr=log:1e-4:1e-2", ...]`` into ranges by key. Raises RequestError that names an error."""
    ranges: dict[str, Range] = {}
    for spec in specs:
        key, equals, text = spec.partition("=")
        if not key or not equals:
            raise RequestError(f"`also` {spec!r}: write key=log:LOW:HIGH or key=lin:LOW:HIGH")
        if key in ranges:
            raise RequestError(f"`also` names {key!r} twice")
        try:
            ranges[key] = Range.parse(text)
        except RequestError as error:
            raise RequestError(f"`also` {key}: {error}") from None
    return ranges


@dataclass(frozen=True)
class Space:
    """The weights and recipe numbers that a search may choose.

    Args:
        tasks: distinct names of the T tasks.
        center: weights (T,) around which the search begins; they are normalised, and within a group their sum is shared
            equally. Default: uniform.
        groups: groups of task names that share one weight; every other task is a group of its own. Default: none.
        also: range of each recipe number that is searched beside the weights, by recipe key. Default: none.
        floor: smallest weight that is explored, as a share of the centre's, in [0, 1); so the centre itself is always
            valid. Default 0.01 (our choice).

    Raises:
        RequestError: tasks are not distinct, a group names an unknown task or one twice, or a number is out of range.

    >>> space = Space(("a", "b", "c"), groups=(("b", "c"),))
    >>> space.dimension, space.expand([0.5, 0.5]).tolist()
    (2, [0.5, 0.25, 0.25])
    """

    tasks: tuple[str, ...]
    center: tuple[float, ...] = ()
    groups: tuple[tuple[str, ...], ...] = ()
    also: Mapping[str, Range] = field(default_factory=dict)
    floor: float = 0.01

    def __post_init__(self) -> None:
        if not self.tasks or len(set(self.tasks)) != len(self.tasks):
            raise RequestError(f"tasks must be distinct and at least one, got {list(self.tasks)}")
        if not 0 <= self.floor < 1:
            raise RequestError(f"the floor is a share of the centre, at least 0 and below 1; got {self.floor}")
        if self.center and len(self.center) != len(self.tasks):
            raise RequestError(f"the centre has {len(self.center)} weights for {len(self.tasks)} tasks")
        seen: set[str] = set()
        for name in (name for group in self.groups for name in group):
            if name not in self.tasks:
                raise unknown_name_error("task", name, self.tasks, where=" in a group")
            if name in seen:
                raise RequestError(f"task {name!r} is in two groups")
            seen.add(name)
        of = {name: k for k, group in enumerate(self.groups) for name in group}
        labels: list[Any] = [of.get(t, t) for t in self.tasks]
        order = {label: i for i, label in enumerate(dict.fromkeys(labels))}
        index = np.array([order[label] for label in labels])
        object.__setattr__(self, "_index", index)  # (T,): the coordinate of every task
        object.__setattr__(self, "_size", np.bincount(index).astype(np.float64))  # (D,)
        point = simplex.normalise(self.center) if self.center else simplex.uniform(len(self.tasks))
        object.__setattr__(self, "center_point", self.collapse(point))

    center_point: Array = field(init=False, repr=False, compare=False)
    _index: NDArray[np.int64] = field(init=False, repr=False, compare=False)
    _size: Array = field(init=False, repr=False, compare=False)

    @property
    def dimension(self) -> int:
        """The number of coordinates D: one per group."""
        return int(self._size.size)

    def collapse(self, weights: ArrayLike) -> Array:
        """Convert task weights to coordinates.

        Args:
            weights: task weights (..., T).

        Returns:
            Coordinates (..., D): the sum of every group.
        """
        w = np.asarray(weights, dtype=np.float64)
        if self.dimension == len(self.tasks):
            return w
        points = np.zeros((*w.shape[:-1], self.dimension))
        for t, k in enumerate(self._index):
            points[..., k] += w[..., t]
        return points

    def expand(self, points: ArrayLike) -> Array:
        """Convert coordinates to task weights.

        Args:
            points: coordinates (..., D).

        Returns:
            Task weights (..., T): the tasks of a group share its weight equally.
        """
        p = np.asarray(points, dtype=np.float64)
        return p if self.dimension == len(self.tasks) else p[..., self._index] / self._size[self._index]

    def limit(self, points: Array) -> Array:
        """Raise points to the floor.

        Args:
            points: coordinates (M, D).

        Returns:
            Coordinates (M, D); rows that are above the floor are unchanged.
        """
        return simplex.apply_floor(points, self.floor * self.center_point)
