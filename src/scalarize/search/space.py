"""What is searched: a point on the simplex (of tasks, or groups that share a weight), and recipe numbers beside it.

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
    """A recipe number searched beside the weights: from ``low`` to ``high``, uniform in its logarithm if ``log``.

    ``start`` is the value of the member that begins exactly at the centre (default: the middle of the range).
    Raises RequestError where low < high does not hold, or a logarithmic range is not positive.
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
        """``log:1e-4:1e-2`` or ``lin:0:0.5``.

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
        """``start``, else the middle of the range (geometric if ``log``)."""
        return float(self.at(0.5)) if self.start is None else self.start

    def at(self, share: ArrayLike) -> Array:
        """The value at ``share`` (in [0, 1]) of the way from low to high."""
        u = np.asarray(share, dtype=np.float64)
        if self.log:
            return np.asarray(np.exp(math.log(self.low) + u * math.log(self.high / self.low))).clip(self.low, self.high)
        return np.asarray(self.low + u * (self.high - self.low)).clip(self.low, self.high)


def parse_also(specs: list[str] | tuple[str, ...]) -> dict[str, Range]:
    """``["optimizer.lr=log:1e-4:1e-2", ...]`` to ranges by key. Raises RequestError naming the damaged one."""
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
    """Tasks (T), the centre around which a search begins, groups that share a weight, and recipe numbers.

    center (T,): default uniform; normalised; within a group its mass is shared equally. ``groups``: lists of task
    names; a task in no list is a group of its own. ``also``: recipe key to Range. ``floor``: no explored weight
    falls below this share of its centre (our choice; 0.01: a hundredth), so that the centre itself is always valid.
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
        """D: the number of independent weights plus one."""
        return int(self._size.size)

    def collapse(self, weights: ArrayLike) -> Array:
        """Task weights (..., T) to coordinates (..., D): the mass of every group."""
        w = np.asarray(weights, dtype=np.float64)
        if self.dimension == len(self.tasks):
            return w
        points = np.zeros((*w.shape[:-1], self.dimension))
        for t, k in enumerate(self._index):
            points[..., k] += w[..., t]
        return points

    def expand(self, points: ArrayLike) -> Array:
        """Coordinates (..., D) to task weights (..., T): the tasks of a group share its mass equally."""
        p = np.asarray(points, dtype=np.float64)
        return p if self.dimension == len(self.tasks) else p[..., self._index] / self._size[self._index]

    def limit(self, points: Array) -> Array:
        """Points (M, D) with the floor kept; rows that already keep it are left as they are."""
        return simplex.apply_floor(points, self.floor * self.center_point)
