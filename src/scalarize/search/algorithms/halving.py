"""Random search with successive halving."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scalarize.search.algorithms.base import Algorithm, Generation, History, first_generation, ranking
from scalarize.search.algorithms.registry import register
from scalarize.search.sampling import population


@register
@dataclass(eq=False, kw_only=True)
class SuccessiveHalving(Algorithm):
    """Random search whose better half goes on, twice, at the cost of N full trainings.

    2 N members train a quarter of the epochs, N go on to half of them, and N / 2 to the end (Jamieson and Talwalkar
    2016 with eta 2; three rungs are our choice: they cost N full trainings, and 2 N checkpoints at most). If the epochs
    are not divisible, as many members begin as the same budget allows. ``ready`` and ``quantile`` are not used.
    """

    name = "halving"
    unused = ("ready", "quantile")
    paper = "Jamieson and Talwalkar 2016, Non-stochastic best arm identification and hyperparameter optimization"

    @property
    def rungs(self) -> list[int]:
        """The epochs at which members are compared."""
        full = self.setting.epochs
        return sorted({max(full // 4, 1), max(full // 2, 1), full})

    def sizes(self, first: int) -> list[int]:
        """Return the number of members that train to each rung if ``first`` begin."""
        return [max(first >> k, 1) for k in range(len(self.rungs))]

    def cost(self, first: int) -> int:
        """Return the epochs trained in all if ``first`` members begin."""
        lengths = np.diff([0, *self.rungs])
        return int(lengths @ np.array(self.sizes(first)))

    @property
    def beginners(self) -> int:
        """The number of members that begin."""
        n = self.setting.population
        return max(k for k in range(1, 2 * n + 1) if k == 1 or self.cost(k) <= n * self.setting.epochs)

    @property
    def total_epochs(self) -> int:
        return self.cost(self.beginners)

    def propose(self, history: History) -> Generation | None:
        s, step = self.setting, len(history)
        if step == len(self.rungs):
            return None
        keep = step + 1 < len(self.rungs)
        if step == 0:
            weights, extras = population(s.space, s.spread, s.seed, range(self.beginners))
            return first_generation(s, self.beginners, self.rungs[0], weights, extras, keep)
        result, last = history[-1], history[-1].generation
        rows = np.sort(ranking(result.score, last.member)[: self.sizes(self.beginners)[step]])
        extras = {key: values[rows] for key, values in last.extras.items()}
        members = last.member[rows]
        return Generation(step, self.rungs[step], members, members, last.weights[rows], extras, keep)
