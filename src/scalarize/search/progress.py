"""The progress of a search, reported after every training."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from scalarize.search import lineage
from scalarize.search.algorithms.base import Algorithm
from scalarize.search.clock import Clock
from scalarize.search.executors.base import Outcome


@dataclass(frozen=True)
class Progress:
    """The state of a search after a training has ended.

    Args:
        generation: generation of that training.
        member: its member.
        score: its score.
        best: best score of any member so far.
        epochs_done: epochs trained so far, over all members.
        epochs_total: epochs of the whole search.
        seconds: wall time since this call began.

    >>> Progress(0, 3, score=0.5, best=0.7, epochs_done=12, epochs_total=48, seconds=1.0).best
    0.7
    """

    generation: int
    member: int
    score: float
    best: float
    epochs_done: int
    epochs_total: int
    seconds: float


Report = Callable[[Progress], None]


@dataclass
class Tally:
    """Counts what has been trained, and reports it."""

    done: int
    best: float
    total: int
    clock: Clock
    report: Report | None

    @classmethod
    def of(cls, algorithm: Algorithm, clock: Clock, report: Report | None) -> Tally:
        """Begin with what the algorithm's history holds."""
        history = algorithm.history
        done = sum(int(lineage.epochs_trained(history, t.generation).sum()) for t in history)
        best = max((float(np.nanmax(t.score)) for t in history if np.isfinite(t.score).any()), default=-math.inf)
        return cls(done, best, algorithm.total_epochs, clock, report)

    def count(self, outcome: Outcome, score: float, epochs: int) -> None:
        """Count a training of ``epochs`` epochs, and report it."""
        self.done += epochs
        self.best = max(self.best, score) if math.isfinite(score) else self.best
        if self.report is not None:
            seen = (outcome.generation, outcome.member, score, self.best)
            self.report(Progress(*seen, self.done, self.total, self.clock.passed()))
