"""Random search: N full trainings with constant weights drawn around the centre, one of them exactly there."""

from __future__ import annotations

from dataclasses import dataclass

from scalarize.search.algorithms.base import Algorithm, Generation, History, first_generation
from scalarize.search.algorithms.registry import register
from scalarize.search.sampling import population


@register
@dataclass(eq=False, kw_only=True)
class RandomSearch(Algorithm):
    """Random search: the draws of a population's first generation, each trained to the end."""

    name = "random"
    unused = ("ready", "quantile")
    paper = "Bergstra and Bengio 2012, Random search for hyper-parameter optimization"

    def propose(self, history: History) -> Generation | None:
        if history:
            return None
        s = self.setting
        weights, extras = population(s.space, s.spread, s.seed, range(s.population))
        return first_generation(s, s.population, s.epochs, weights, extras, keep=False)

    @property
    def total_epochs(self) -> int:
        return self.setting.population * self.setting.epochs
