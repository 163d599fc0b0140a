"""Segments of a policy: their validity, and their form in a file."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral, Number
from typing import Any

import numpy as np

from scalarize.utils import limits
from scalarize.utils.errors import RequestError


@dataclass(frozen=True)
class Segment:
    """The weights in force from one epoch until the next segment begins.

    Args:
        from_epoch: first epoch of the segment, counted from 0.
        weights: a simplex point (T,), in the order of the policy's tasks.
        scale: positive factor of the weighted sum of the losses. Default 1.

    >>> Segment(3, (0.25, 0.75))
    Segment(from_epoch=3, weights=(0.25, 0.75), scale=1.0)
    """

    from_epoch: int
    weights: tuple[float, ...]
    scale: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "from_epoch", whole("policy: the first epoch of a segment", self.from_epoch))
        if type(self.weights) is not tuple or any(type(w) is not float for w in self.weights):
            object.__setattr__(self, "weights", tuple(float(w) for w in self.weights))
        object.__setattr__(self, "scale", float(self.scale))


def names(tasks: Sequence[str]) -> tuple[str, ...]:
    """Return names of tasks as plain strings.

    Args:
        tasks: the names, such as strings of numpy.

    Returns:
        The names.

    Raises:
        RequestError: one is no string.

    >>> names(["a", 1])
    Traceback (most recent call last):
        ...
    scalarize.utils.errors.RequestError: policy: tasks must be names, got 1, a number
    """
    for task in tasks:
        if not isinstance(task, str):
            kind = "number" if isinstance(task, Number) else type(task).__name__
            raise RequestError(f"policy: tasks must be names, got {task!r:.60}, a {kind}")
    return tuple(str.__str__(task) for task in tasks)


def whole(what: str, value: Any) -> int:
    """Return a whole number as Python's own.

    Args:
        what: its name in an error message.
        value: the number, such as one of numpy.

    Returns:
        The number.

    Raises:
        RequestError: it is none.

    >>> whole("epochs", 2.5)
    Traceback (most recent call last):
        ...
    scalarize.utils.errors.RequestError: epochs must be a whole number, got 2.5
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise RequestError(f"{what} must be a whole number, got {value!r:.60}")
    return int(value)


def check(tasks: Sequence[str], epochs: int, segments: Sequence[Segment]) -> None:
    """Check that segments form a policy.

    Args:
        tasks: names of the T tasks.
        epochs: length of the training.
        segments: the segments, in the order of their epochs.

    Raises:
        RequestError: they do not; see :class:`scalarize.weights.policy.Policy`.

    >>> check(["a", "b"], 2, [Segment(0, (0.25, 0.75))])
    """
    if not tasks or len(set(tasks)) != len(tasks):
        raise RequestError(f"policy: tasks must be distinct and at least one, got {list(tasks)}")
    limits.check("policy: epochs", epochs, limits.EPOCHS, least=0)
    limits.check("policy: the number of segments", len(segments), limits.SEGMENTS, least=0)
    limits.check("policy: the number of weights", len(segments) * len(tasks), limits.WEIGHTS, least=0)
    if epochs < 1 or not segments or segments[0].from_epoch != 0:
        raise RequestError("policy: needs at least one epoch and a first segment with from_epoch 0")
    starts = [s.from_epoch for s in segments]
    if any(b <= a for a, b in itertools.pairwise(starts)) or starts[-1] >= epochs:
        raise RequestError(f"policy: segments must start at increasing epochs below {epochs}, got {str(starts)[:200]}")
    for s in segments:
        w = np.asarray(s.weights, dtype=np.float64)
        if w.shape != (len(tasks),):
            raise RequestError(f"policy: epoch {s.from_epoch} has {w.size} weights for {len(tasks)} tasks")
        if not np.isfinite(w).all() or (w < 0).any() or abs(w.sum() - 1.0) > 1e-6:
            raise RequestError(f"policy: the weights at epoch {s.from_epoch} are no simplex point: {w.tolist()}")
        if not (math.isfinite(s.scale) and s.scale > 0):
            raise RequestError(f"policy: the scale at epoch {s.from_epoch} must be positive, got {s.scale}")


def parse(content: Any) -> tuple[tuple[str, ...], int, tuple[Segment, ...]]:
    """Return tasks, epochs and segments of a ``policy.json``.

    Args:
        content: the parsed JSON.

    Returns:
        The names of the tasks, the number of epochs, and the segments.

    Raises:
        KeyError, TypeError, ValueError, AttributeError, OverflowError: the content is damaged.

    >>> parse({"tasks": ["a"], "epochs": 2, "segments": [{"from_epoch": 0, "weights": [1.0]}]})
    (('a',), 2, (Segment(from_epoch=0, weights=(1.0,), scale=1.0),))
    """
    segments = tuple(_segment(s) for s in content["segments"])
    return tuple(_name(t) for t in content["tasks"]), _integer(content["epochs"]), segments


def _segment(content: Any) -> Segment:
    weights = tuple(_number(x) for x in content["weights"])
    return Segment(_integer(content["from_epoch"]), weights, _number(content.get("scale", 1.0)))


def _name(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no task's name")
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is no number")
    return float(value)


def _integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{value!r} is no whole number")
    return value
