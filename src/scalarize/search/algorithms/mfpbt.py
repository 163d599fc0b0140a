"""Population-based training with several frequencies: sub-populations that are compared at different intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scalarize.search.algorithms.base import GenerationResult, Indices, ranking
from scalarize.search.algorithms.pbt import PBT
from scalarize.search.algorithms.registry import register
from scalarize.search.sampling import Extras, generators
from scalarize.search.space import Array
from scalarize.utils.errors import RequestError


@register
@dataclass(eq=False, kw_only=True)
class MFPBT(PBT):
    """Multiple-frequencies PBT (Doulazmi et al. 2025): early gains that mislead harm only the most frequent
    comparisons.

    The population is divided into sub-populations; one of interval d compares its members every d * ``ready`` epochs,
    and replaces its worst round(Q n) of n. The better half of these clone and explore a winner of their own
    sub-population. The worse half take over a winner from elsewhere, if it is better than they are: state and weights
    from a sub-population that is compared less often; the state alone, under the weights of a winner of their own, from
    one that is compared more often, so that greedy weights do not spread to the slower sub-populations.

    intervals: in units of ``ready``, increasing; sub-populations of fewer than 4 members are not made (with N < 8 this
    is PBT). Sizes, halves and winners (the best round(Q n)) are our reading and choice.
    """

    name = "mfpbt"
    paper = "Doulazmi et al. 2025, Multiple-frequencies population-based training"
    asynchronous = False  # sub-populations compare with each other
    intervals: tuple[int, ...] = (1, 2, 4)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.intervals or self.intervals[0] < 1 or (np.diff(self.intervals) <= 0).any():
            raise RequestError(f"intervals must be increasing whole numbers from 1, got {list(self.intervals)}")

    @property
    def groups(self) -> list[Indices]:
        """The rows of every sub-population, the one that compares most often first."""
        n = self.setting.population
        return [np.asarray(rows) for rows in np.array_split(np.arange(n), max(min(len(self.intervals), n // 4), 1))]

    def decide(self, result: GenerationResult) -> tuple[Array, Extras, Indices]:
        step, member = result.generation.index + 1, result.generation.member
        orders = [rows[ranking(result.score[rows], member[rows])] for rows in self.groups]
        winners = [self._winners(result, order) for order in orders]
        rows: list[int] = []
        for order, interval in zip(orders, self.intervals, strict=False):
            failed = int((~np.isfinite(result.score[order])).sum())
            due = self._count(order.size) if step % interval == 0 else 0
            rows.extend(order[order.size - max(due, failed) :].tolist())
        replaced = np.sort(np.array(rows, dtype=np.int64))
        rngs = generators(self.setting.seed, member[replaced], step)
        chosen = [
            self._sources(result, int(row), orders, winners, rng) for row, rng in zip(replaced, rngs, strict=True)
        ]
        kept = [i for i, pair in enumerate(chosen) if pair is not None]
        pairs = np.array([chosen[i] for i in kept], dtype=np.int64).reshape(-1, 2)
        return self.clone(result, replaced[kept], pairs[:, 0], pairs[:, 1], [rngs[i] for i in kept])

    def _count(self, size: int) -> int:
        return self.setting.exploited_of(size)

    def _winners(self, result: GenerationResult, order: Indices) -> Indices:
        best = order[: self._count(order.size)]
        return best[np.isfinite(result.score[best])]

    def _sources(
        self,
        result: GenerationResult,
        row: int,
        orders: list[Indices],
        winners: list[Indices],
        rng: np.random.Generator,
    ) -> tuple[int, int] | None:
        """Return the rows whose state and whose weights ``row`` takes; None if nobody has a finite score."""
        home = next(k for k, order in enumerate(orders) if row in order)
        place = int(np.flatnonzero(orders[home] == row)[0])
        own = winners[home]
        is_worse_half = place >= orders[home].size - (self._count(orders[home].size) + 1) // 2
        foreign = np.concatenate([own[:0], *(w for k, w in enumerate(winners) if k != home)])
        score = result.score[row]
        better = foreign if not np.isfinite(score) else foreign[result.score[foreign] > score]
        if better.size and (is_worse_half or not own.size):
            guest = int(better[rng.integers(better.size)])
            patient = next(k for k, order in enumerate(orders) if guest in order) > home
            if patient or not own.size:
                return guest, guest
            return guest, int(own[rng.integers(own.size)])
        if not own.size:
            return None
        donor = int(own[rng.integers(own.size)])
        return donor, donor
