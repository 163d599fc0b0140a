"""Task weights over epochs, as they are read: the fields of a policy and its weights at an epoch."""

from __future__ import annotations

import bisect
import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from scalarize.utils.errors import RequestError
from scalarize.weights.segment import Segment, check, names, whole
from scalarize.weights.simplex import Weights


@dataclass(frozen=True)
class Schedule:
    """The part of a :class:`~scalarize.weights.policy.Policy` that is read; see there."""

    tasks: tuple[str, ...]
    epochs: int
    segments: tuple[Segment, ...]
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        plain = {"tasks": names(self.tasks), "epochs": whole("policy: epochs", self.epochs)}
        for key, value in plain.items():  # of numpy's numbers and strings a file would hold something else, or nothing
            object.__setattr__(self, key, value)
        check(self.tasks, self.epochs, self.segments)

    @property
    def numbers(self) -> dict[str, float]:
        """Recipe numbers that a search tuned beside the weights, by recipe key, with their last values.

        They are read from the entry ``also`` of the provenance; empty if there is none.

        Raises:
            RequestError: that entry is damaged.
        """
        course = self.provenance.get("also") or [{}]
        try:
            return {key: float(value) for key, value in course[-1].items() if key != "from_epoch"}
        except (AttributeError, KeyError, TypeError, ValueError):
            raise RequestError(f"policy: its recipe numbers are damaged: {str(course)[:200]}") from None

    def segment_at(self, epoch: float) -> Segment:
        """Return the segment in force at an epoch.

        Args:
            epoch: the epoch, from 0; may be fractional.

        Returns:
            The segment; the first one before 0, the last one beyond the end.
        """
        return self.segments[bisect.bisect_right(self._starts, max(epoch, 0)) - 1]

    @functools.cached_property
    def _starts(self) -> list[int]:
        return [s.from_epoch for s in self.segments]

    def weights_at(self, epoch: float) -> Weights:
        """Return the weights at an epoch; see :meth:`segment_at`.

        Args:
            epoch: the epoch, from 0; may be fractional.

        Returns:
            Weights (T,) with sum 1, in the order of ``tasks``.
        """
        return np.asarray(self.segment_at(epoch).weights)
