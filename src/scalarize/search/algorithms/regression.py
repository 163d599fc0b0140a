"""Search by regression: many short trainings, a fit from weights to metrics, full trainings of its proposals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scalarize.search.algorithms.base import NO_PARENT, Algorithm, Generation, History, first_generation
from scalarize.search.algorithms.registry import register
from scalarize.search.sampling import population
from scalarize.search.space import Array
from scalarize.search.surrogates import mixture_fit
from scalarize.utils import limits
from scalarize.utils.errors import RequestError


@register
@dataclass(eq=False, kw_only=True)
class Regression(Algorithm):
    """The proxy-model approach to data mixtures (Liu et al. 2025), with short trainings as proxies.

    Most of the budget of N full trainings goes into trainings of ``ready`` epochs, with weights drawn as in random
    search; the forms of :mod:`scalarize.search.surrogates.mixture_forms` are fitted to their metrics. Trained in full
    are the optimum that the default choice predicts, the centre and, with N >= 12, the optimum of another form, the one
    that explains held-out runs best (forms may disagree, :func:`~scalarize.search.surrogates.mixture_fit.propose`). The
    result is the best of these, as measured. The number of full trainings is our choice.
    """

    name = "regression"
    unused = ("quantile",)
    paper = "Liu et al. 2025, RegMix: Data mixture as regression for language model pre-training"

    def __post_init__(self) -> None:
        if self.setting.space.also:
            raise RequestError(
                f"regression searches weights alone, not {', '.join(self.setting.space.also)}: its forms are mixtures "
                "of tasks, and short trainings say nothing of recipe numbers in long ones; choose another algorithm"
            )
        if self.setting.space.dimension < 2:
            raise RequestError("regression needs at least two weights to search")
        if self.proxies > limits.POPULATION:
            raise RequestError(
                f"regression would make {self.proxies} short trainings, at most {limits.POPULATION:,} are taken: make "
                "ready larger, or the population smaller"
            )
        if self.proxies < 2:
            raise RequestError(f"regression needs a population of at least 4 trainings, got {self.setting.population}")

    @property
    def short(self) -> int:
        """The epochs of a proxy training."""
        return min(self.setting.ready, self.setting.epochs)

    @property
    def finals(self) -> int:
        """The number of full trainings."""
        return 3 if self.setting.population >= 12 else 2

    @property
    def proxies(self) -> int:
        """The number of short trainings that the rest of the budget pays for."""
        return (self.setting.population - self.finals) * self.setting.epochs // self.short

    @property
    def total_epochs(self) -> int:
        return self.proxies * self.short + self.finals * self.setting.epochs

    def propose(self, history: History) -> Generation | None:
        s = self.setting
        if not history:
            weights, extras = population(s.space, s.spread, s.seed, range(self.proxies))
            return first_generation(s, self.proxies, self.short, weights, extras, keep=False)
        if len(history) > 1:
            return None
        weights = s.space.expand(s.space.limit(self.decide(history)))
        member = np.arange(self.proxies, self.proxies + self.finals)
        return Generation(1, s.epochs, member, np.full(self.finals, NO_PARENT), weights, {}, keep=False)

    def decide(self, history: History) -> Array:
        """Return the points (finals, D) to train in full."""
        s = self.setting
        proposal = self.fitted(history)
        if proposal is None:  # nothing to learn from: go on as random search
            members = range(self.proxies, self.proxies + self.finals - 1)
            return np.vstack(
                [s.space.collapse(population(s.space, s.spread, s.seed, members)[0]), s.space.center_point]
            )
        others = sorted(proposal.opinions[1:], key=lambda o: -o.explained)
        # If all forms agree exactly, the second best form's optimum is trained again: a second seed.
        another = next((o for o in others if np.abs(o.optimum - proposal.weights).sum() > 1e-3), others[0])
        return np.array([proposal.weights, s.space.center_point, another.optimum][: self.finals])

    def fitted(self, history: History) -> mixture_fit.Proposal | None:
        """Return the regression's proposal after the short trainings; None if fewer than two have finite metrics."""
        result = history[0]
        seen = np.isfinite(result.metrics).all(axis=1) & np.isfinite(result.score)
        if seen.sum() < 2:
            return None
        points = self.setting.space.collapse(result.generation.weights[seen])
        judge = self.judge or mixture_fit.average
        return mixture_fit.propose(mixture_fit.fit(points, result.metrics[seen]), judge, seed=self.setting.seed)

    def notes(self, history: History) -> tuple[str, ...]:
        proposal = self.fitted(history) if history else None
        return () if proposal is None else proposal.warnings
