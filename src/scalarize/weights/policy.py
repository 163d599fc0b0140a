"""Policies: task weights over the epochs of a training, and the JSON file that stores them.

A policy is found by a search, describes the weights that a run used, and is replayed by ``train --policy`` (Royer et
al. 2023, section 5 and figure F).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from scalarize.utils import files
from scalarize.utils.errors import RequestError
from scalarize.weights import simplex
from scalarize.weights.schedule import Schedule
from scalarize.weights.segment import Segment, parse

FORMAT = "scalarize-policy/1"


@dataclass(frozen=True)
class Policy(Schedule):
    """Task weights over a number of epochs, piecewise constant; immutable, and checked when it is made.

    Args:
        tasks: distinct names of the T tasks, at least one.
        epochs: length of the training that the policy describes, from 1 to 1,000,000.
        segments: 1 to 100,000; the first begins at epoch 0, the others at increasing epochs below ``epochs``. Weights
            sum to 1 within 1e-6.
        provenance: plain data about the policy's origin, stored in the file and never interpreted, save by
            :attr:`numbers`. Default: none.

    Raises:
        RequestError: any of these conditions is not met.

    >>> policy = Policy.from_schedule(["a", "b"], [(0, [1, 1]), (4, [1, 3])], epochs=6)
    >>> policy.weights_at(2).tolist(), policy.weights_at(5).tolist()
    ([0.5, 0.5], [0.25, 0.75])
    """

    @classmethod
    def constant(
        cls, weights: Mapping[str, float], epochs: int = 1, provenance: Mapping[str, Any] | None = None
    ) -> Policy:
        """Make a policy whose weights never change.

        Args:
            weights: weight by task, numbers >= 0; they are normalised.
            epochs: length of the training. Default 1: a constant policy fits any length by :meth:`stretch`.
            provenance: see :class:`Policy`.

        Returns:
            A policy of one segment.

        Raises:
            RequestError: the weights cannot be normalised, or ``epochs`` is below 1.

        >>> Policy.constant({"a": 1, "b": 3}).weights_at(0).tolist()
        [0.25, 0.75]
        """
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
        """Make a policy from weights and the epochs at which they begin.

        Args:
            tasks: names of the T tasks.
            schedule: pairs (first epoch, weights (T,)), in increasing order of epochs, the first at 0. Weights are
                normalised; a segment equal to the one before it is merged with it.
            epochs: length of the training.
            scales: one positive factor of the loss per pair. Default: 1 each.
            provenance: see :class:`Policy`.

        Returns:
            The policy.

        Raises:
            RequestError: weights cannot be normalised, or the result is no valid policy.
            ValueError: ``scales`` and ``schedule`` differ in length.
        """
        segments: list[Segment] = []
        for (start, weights), scale in zip(schedule, scales or [1.0] * len(schedule), strict=True):
            s = Segment(int(start), tuple(simplex.normalise(weights).tolist()), float(scale))
            if not segments or (segments[-1].weights, segments[-1].scale) != (s.weights, s.scale):
                segments.append(s)
        return cls(tuple(tasks), epochs, tuple(segments), provenance or {})

    def stretch(self, epochs: int) -> Policy:
        """Scale the policy in time to another number of epochs.

        Args:
            epochs: the new length, at least 1.

        Returns:
            A policy whose segments begin at the same shares of the training, rounded to whole epochs; if several begin
            at one epoch, the last one counts.

        >>> Policy.from_schedule(["a", "b"], [(0, [1, 1]), (4, [1, 3])], epochs=6).stretch(12).segments[1].from_epoch
        8
        """
        if epochs == self.epochs:
            return self
        placed: dict[int, Segment] = {}
        for s in self.segments:
            start = min(int(s.from_epoch * epochs / self.epochs + 0.5), epochs - 1)
            placed[start] = replace(s, from_epoch=start)
        return replace(self, epochs=epochs, segments=tuple(placed[k] for k in sorted(placed)))

    def last(self) -> Policy:
        """Return the constant policy of the last weights and scale."""
        return replace(self, segments=(replace(self.segments[-1], from_epoch=0),))

    def mean(self) -> Policy:
        """Return the constant policy of the weights averaged over epochs; its scale is the scales' geometric mean.

        >>> policy = Policy.from_schedule(["a", "b"], [(0, [1, 1]), (4, [1, 3])], epochs=8)
        >>> policy.mean().weights_at(0).round(3).tolist()
        [0.375, 0.625]
        """
        ends = [s.from_epoch for s in self.segments[1:]] + [self.epochs]
        lengths = np.array([e - s.from_epoch for s, e in zip(self.segments, ends, strict=True)], dtype=np.float64)
        lengths /= lengths.sum()
        weights = simplex.normalise(lengths @ np.array([s.weights for s in self.segments]))
        scale = math.exp(float(lengths @ np.log([s.scale for s in self.segments])))
        return replace(self, segments=(Segment(0, tuple(weights.tolist()), scale),))

    def history(self, which: str) -> Policy:
        """Return the policy itself, or a constant summary of it.

        Args:
            which: ``full``, ``last`` or ``mean``.

        Returns:
            The policy itself, :meth:`last` or :meth:`mean`.

        Raises:
            RequestError: ``which`` is another word.
        """
        choices = {"full": lambda: self, "last": self.last, "mean": self.mean}
        if which not in choices:
            raise RequestError(f"unknown history {which!r}: choose full, last or mean")
        return choices[which]()

    def reorder(self, tasks: Sequence[str]) -> Policy:
        """Return the same policy with its tasks in another order.

        Args:
            tasks: names of all its tasks, in the new order.

        Returns:
            The reordered policy.

        Raises:
            RequestError: the names are not those of the policy.

        >>> Policy.constant({"a": 1, "b": 3}).reorder(["b", "a"]).weights_at(0).tolist()
        [0.75, 0.25]
        """
        if set(tasks) != set(self.tasks) or len(tasks) != len(self.tasks):
            raise RequestError(f"policy: it weighs {', '.join(self.tasks)}; the run has {', '.join(tasks)}")
        order = [self.tasks.index(t) for t in tasks]
        segments = tuple(replace(s, weights=tuple(s.weights[i] for i in order)) for s in self.segments)
        return replace(self, tasks=tuple(tasks), segments=segments)

    def to_dict(self) -> dict[str, Any]:
        """Return the content of ``policy.json`` as plain data."""
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
        """Make a policy from the content of a ``policy.json``: the inverse of :meth:`to_dict`.

        Args:
            content: the parsed JSON.
            where: the source that an error message begins with. Default ``policy``.

        Returns:
            The policy.

        Raises:
            RequestError: the content is no policy, or damaged.

        >>> Policy.from_dict(Policy.constant({"a": 1, "b": 3}).to_dict()).tasks
        ('a', 'b')
        """
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise RequestError(f"{where}: not a policy: the field 'format' must be {FORMAT!r}")
        try:
            return cls(*parse(content), dict(content.get("provenance") or {}))
        except RequestError as error:
            raise RequestError(f"{where}: {error}") from None
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise RequestError(f"{where}: damaged policy: {type(error).__name__}: {error}") from None

    def save(self, path: str | Path) -> Path:
        """Write the policy to a file in one atomic step.

        Args:
            path: the file.

        Returns:
            The path.

        Raises:
            RunError: the file cannot be written.
            RequestError: ``provenance`` is not plain data.
        """
        try:
            return files.write_json(path, self.to_dict())
        except TypeError as error:
            raise RequestError(f"policy: its provenance is not plain data: {error}") from None

    @classmethod
    def load(cls, path: str | Path) -> Policy:
        """Read a policy from a file.

        Args:
            path: the file, written by :meth:`save` or a search.

        Returns:
            The policy.

        Raises:
            RequestError: the file is missing or damaged.
        """
        return cls.from_dict(files.read_json(path), where=str(path))
