"""A policy: task weights over epochs, and the plain file it is kept in.

What a search finds, what a run used, and what ``train --policy`` replays (Royer et al. 2023, section 5 and figure F).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from scalarize.utils import files
from scalarize.utils.errors import RequestError
from scalarize.weights import simplex

FORMAT = "scalarize-policy/1"


@dataclass(frozen=True)
class Segment:
    """From ``from_epoch`` on: simplex weights (T,) and a positive scale of the total loss."""

    from_epoch: int
    weights: tuple[float, ...]
    scale: float = 1.0


@dataclass(frozen=True)
class Policy:
    """Task weights over ``epochs`` epochs, constant between segments. Immutable and valid once made.

    Raises RequestError where segments do not start at 0 and increase within the length, where weights are not a
    simplex point (sum 1 to 1e-6), or where a scale is not positive.
    """

    tasks: tuple[str, ...]
    epochs: int
    segments: tuple[Segment, ...]
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.tasks or len(set(self.tasks)) != len(self.tasks):
            raise RequestError(f"policy: tasks must be distinct and at least one, got {list(self.tasks)}")
        if self.epochs < 1 or not self.segments or self.segments[0].from_epoch != 0:
            raise RequestError("policy: needs at least one epoch and a first segment with from_epoch 0")
        starts = [s.from_epoch for s in self.segments]
        if any(b <= a for a, b in itertools.pairwise(starts)) or starts[-1] >= self.epochs:
            raise RequestError(f"policy: segments must start at increasing epochs below {self.epochs}, got {starts}")
        for s in self.segments:
            w = np.asarray(s.weights, dtype=np.float64)
            if w.shape != (len(self.tasks),):
                raise RequestError(f"policy: epoch {s.from_epoch} has {w.size} weights for {len(self.tasks)} tasks")
            if not np.isfinite(w).all() or (w < 0).any() or abs(w.sum() - 1.0) > 1e-6:
                raise RequestError(f"policy: the weights at epoch {s.from_epoch} are no simplex point: {w.tolist()}")
            if not (math.isfinite(s.scale) and s.scale > 0):
                raise RequestError(f"policy: the scale at epoch {s.from_epoch} must be positive, got {s.scale}")

    @classmethod
    def constant(
        cls, weights: Mapping[str, float], epochs: int = 1, provenance: Mapping[str, Any] | None = None
    ) -> Policy:
        """The policy that never changes. ``weights`` are normalised."""
        point = simplex.normalise(list(weights.values()))
        return cls(tuple(weights), epochs, (Segment(0, tuple(point.tolist())),), provenance or {})

    @classmethod
    def from_schedule(
        cls,
        tasks: Sequence[str],
        schedule: Sequence[tuple[int, Sequence[float]]],
        epochs: int,
        scales: Sequence[float] | None = None,
        provenance: Mapping[str, Any] | None = None,
    ) -> Policy:
        """From (first epoch, weights) pairs; weights are normalised, equal neighbours merged."""
        segments: list[Segment] = []
        for (start, weights), scale in zip(schedule, scales or [1.0] * len(schedule), strict=True):
            s = Segment(int(start), tuple(simplex.normalise(weights).tolist()), float(scale))
            if not segments or (segments[-1].weights, segments[-1].scale) != (s.weights, s.scale):
                segments.append(s)
        return cls(tuple(tasks), epochs, tuple(segments), provenance or {})

    @property
    def numbers(self) -> dict[str, float]:
        """Recipe numbers that were searched beside the weights, as they were in the end (provenance ``also``).

        Raises RequestError where the provenance names them in another way.
        """
        course = self.provenance.get("also") or [{}]
        try:
            return {key: float(value) for key, value in course[-1].items() if key != "from_epoch"}
        except (AttributeError, KeyError, TypeError, ValueError):
            raise RequestError(f"policy: its recipe numbers are damaged: {str(course)[:200]}") from None

    def segment_at(self, epoch: float) -> Segment:
        """The segment in force at ``epoch`` (its last one beyond the end)."""
        return [s for s in self.segments if s.from_epoch <= max(epoch, 0)][-1]

    def weights_at(self, epoch: float) -> simplex.Weights:
        """Weights (T,) at ``epoch``, in the order of ``tasks``."""
        return np.asarray(self.segment_at(epoch).weights)

    def stretch(self, epochs: int) -> Policy:
        """The same course over another number of epochs; where several segments fall on one epoch, the last counts."""
        if epochs == self.epochs:
            return self
        placed: dict[int, Segment] = {}
        for s in self.segments:
            start = min(int(s.from_epoch * epochs / self.epochs + 0.5), epochs - 1)
            placed[start] = replace(s, from_epoch=start)
        return replace(self, epochs=epochs, segments=tuple(placed[k] for k in sorted(placed)))

    def last(self) -> Policy:
        """The constant policy of the last weights."""
        return replace(self, segments=(replace(self.segments[-1], from_epoch=0),))

    def mean(self) -> Policy:
        """The constant policy of the weights averaged over epochs (scale: geometric mean)."""
        ends = [s.from_epoch for s in self.segments[1:]] + [self.epochs]
        lengths = np.array([e - s.from_epoch for s, e in zip(self.segments, ends, strict=True)], dtype=np.float64)
        lengths /= lengths.sum()
        weights = simplex.normalise(lengths @ np.array([s.weights for s in self.segments]))
        scale = math.exp(float(lengths @ np.log([s.scale for s in self.segments])))
        return replace(self, segments=(Segment(0, tuple(weights.tolist()), scale),))

    def history(self, which: str) -> Policy:
        """``full``, ``last`` or ``mean``. Raises RequestError for anything else."""
        choices = {"full": lambda: self, "last": self.last, "mean": self.mean}
        if which not in choices:
            raise RequestError(f"unknown history {which!r}: choose full, last or mean")
        return choices[which]()

    def reorder(self, tasks: Sequence[str]) -> Policy:
        """The same policy with its tasks in the order of ``tasks``. Raises RequestError where the sets differ."""
        if set(tasks) != set(self.tasks) or len(tasks) != len(self.tasks):
            raise RequestError(f"policy: it weighs {', '.join(self.tasks)}; the run has {', '.join(tasks)}")
        order = [self.tasks.index(t) for t in tasks]
        segments = tuple(replace(s, weights=tuple(s.weights[i] for i in order)) for s in self.segments)
        return replace(self, tasks=tuple(tasks), segments=segments)

    def to_dict(self) -> dict[str, Any]:
        """The content of ``policy.json``."""
        return {
            "format": FORMAT,
            "tasks": list(self.tasks),
            "epochs": self.epochs,
            "segments": [
                {"from_epoch": s.from_epoch, "weights": list(s.weights), "scale": s.scale} for s in self.segments
            ],
            "provenance": dict(self.provenance),
        }

    @classmethod
    def from_dict(cls, content: Any, where: str = "policy") -> Policy:
        """The inverse of :meth:`to_dict`. Raises RequestError, beginning with ``where``, for anything damaged."""
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise RequestError(f"{where}: not a policy: the field 'format' must be {FORMAT!r}")
        try:
            segments = tuple(_segment(s) for s in content["segments"])
            tasks = tuple(_name(t) for t in content["tasks"])
            return cls(tasks, _integer(content["epochs"]), segments, dict(content.get("provenance") or {}))
        except RequestError as error:
            raise RequestError(f"{where}: {error}") from None
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise RequestError(f"{where}: damaged policy: {type(error).__name__}: {error}") from None

    def save(self, path: str | Path) -> Path:
        """Write ``policy.json`` atomically."""
        return files.write_json(path, self.to_dict())

    @classmethod
    def load(cls, path: str | Path) -> Policy:
        """Read a policy. Raises RequestError naming the file where it is missing or damaged."""
        return cls.from_dict(files.read_json(path), where=str(path))


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
