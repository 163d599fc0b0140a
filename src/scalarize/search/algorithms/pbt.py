"""Population-based training of task weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scalarize.search.algorithms.base import (
    Algorithm,
    Generation,
    GenerationResult,
    History,
    Indices,
    first_generation,
    ranking,
)
from scalarize.search.algorithms.registry import register
from scalarize.search.sampling import Extras, explore, generators, population
from scalarize.search.space import Array
from scalarize.utils.errors import RequestError

BLOCK = 256  # members explored at once: of thousands, more would leave the processor's caches


@register
@dataclass(eq=False, kw_only=True)
class PBT(Algorithm):
    """Population-based training (Jaderberg et al. 2017) of task weights (Royer et al. 2023, section 5 and appendix 5).

    N members train side by side. Every ``ready`` epochs the worst round(Q N) are replaced (exploit): each takes the
    state, weights and extras of a donor among the best round(Q N), and its weights are then perturbed (explore).
    Nothing is replaced after the last epoch, so every reported configuration has been trained.

    factors: every weight is multiplied by one of them before normalising (Jaderberg et al.: 0.8, 1.2); resample:
    probability that a replaced member draws all its weights anew around the centre instead. The papers give none; Royer
    et al. used Ray Tune, which draws each number anew with probability 0.25 unless told otherwise, and replaces
    ceil(Q N): 4 of 8 at Q = 0.4, where round(Q N) is 3. 0.1 for all weights at once is our choice. Our choices too: the
    donor is uniform among the best, a member whose score is not finite is replaced whatever its rank, and the floor is
    a share of the centre (see ``Space``).
    """

    name = "pbt"
    inherits = True
    paper = "Jaderberg et al. 2017, Population based training of neural networks"
    asynchronous = True
    factors: tuple[float, ...] = (0.8, 1.2)
    resample: float = 0.1

    def __post_init__(self) -> None:
        if not self.factors or min(self.factors) <= 0:
            raise RequestError(f"factors must be positive numbers, got {list(self.factors)}")
        if not 0 <= self.resample <= 1:
            raise RequestError(f"resample is a probability, got {self.resample}")
        if self.setting.population < 2:
            raise RequestError(f"a population needs at least 2 members, got {self.setting.population}")

    @property
    def total_epochs(self) -> int:
        return self.setting.population * self.setting.epochs

    def propose(self, history: History) -> Generation | None:
        s, step = self.setting, len(history)
        if step == len(s.milestones):
            return None
        keep = step + 1 < len(s.milestones)
        if step == 0:
            weights, extras = population(s.space, s.spread, s.seed, range(s.population))
            return first_generation(s, s.population, s.milestones[0], weights, extras, keep)
        weights, extras, parent = self.decide(history[-1])
        members = history[-1].generation.member
        return Generation(step, s.milestones[step], members, parent, weights, extras, keep)

    def decide(self, result: GenerationResult) -> tuple[Array, Extras, Indices]:
        """Return the weights (M, T), extras (M,) and parents (M,) of the generation after ``result``."""
        return self.replace(result, *self.select(result))

    def select(self, result: GenerationResult) -> tuple[Indices, Indices]:
        """Return the rows to replace and the rows to copy."""
        return exploited(result, self.setting.exploited_of(result.generation.size))

    def proceed(self, result: GenerationResult, member: int) -> Generation:
        s, step, row = self.setting, result.generation.index + 1, result.generation.row_of(member)
        losers, donors = self.select(result)
        weights, extras, parent = self.replace(result, losers[losers == row], donors)
        alone = {key: values[[row]] for key, values in extras.items()}
        keep = step + 1 < len(s.milestones)
        return Generation(step, s.milestones[step], np.array([member]), parent[[row]], weights[[row]], alone, keep)

    def replace(self, result: GenerationResult, losers: Indices, donors: Indices) -> tuple[Array, Extras, Indices]:
        """Replace the rows ``losers``, each by a donor drawn uniformly from the rows ``donors``, and explore."""
        if not donors.size:
            losers = losers[:0]
        rngs = generators(self.setting.seed, result.generation.member[losers], result.generation.index + 1)
        source = np.array([donors[rng.integers(donors.size)] for rng in rngs], dtype=np.int64)
        return self.clone(result, losers, source, source, rngs)

    def clone(
        self,
        result: GenerationResult,
        rows: Indices,
        state: Indices,
        weights: Indices,
        rngs: Sequence[np.random.Generator],
    ) -> tuple[Array, Extras, Indices]:
        """Make the next generation, in which some members are replaced.

        Args:
            result: the finished generation.
            rows: rows (K,) that are replaced; all others go on unchanged.
            state: rows (K,) whose states they continue.
            weights: rows (K,) whose weights and extras they take over and explore.
            rngs: one generator per replaced row.

        Returns:
            Weights (M, T), extras (M,) and parents (M,).
        """
        space, last = self.setting.space, result.generation
        moved, parent = last.weights.copy(), last.member.copy()
        extras = {key: values.copy() for key, values in last.extras.items()}
        parent[rows] = last.member[state]
        for first in range(0, rows.size, BLOCK):
            part = slice(first, first + BLOCK)
            copied = {key: values[weights[part]] for key, values in last.extras.items()}
            moved[rows[part]], values = explore(
                space, self.setting.spread, last.weights[weights[part]], copied, rngs[part], self.factors, self.resample
            )
            for key in extras:
                extras[key][rows[part]] = values[key]
        return moved, extras, parent


def exploited(result: GenerationResult, number: int) -> tuple[Indices, Indices]:
    """Return the rows to replace and the rows to copy.

    Replaced are the worst ``number`` and all without a finite score; copied are the best ``number``.
    """
    order = ranking(result.score, result.generation.member)
    finite = np.isfinite(result.score[order])
    count = max(number, int((~finite).sum()))
    donors = order[:number][finite[:number]]
    return np.sort(order[order.size - count :]), donors
