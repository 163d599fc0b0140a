"""Bayesian optimisation over full trainings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scalarize.search.algorithms.base import NO_PARENT, Algorithm, Generation, History
from scalarize.search.algorithms.registry import register
from scalarize.search.sampling import Extras, generator, population
from scalarize.search.space import Array
from scalarize.search.surrogates import gaussian_process
from scalarize.utils.errors import RequestError


@register
@dataclass(eq=False, kw_only=True)
class BayesianOptimisation(Algorithm):
    """N full trainings with constant weights, chosen by a Gaussian process over log-ratio coordinates.

    The first third (at least 2) are the draws of random search with the same seed; then follow batches of ``batch``
    trainings, each batch chosen one after another by an upper confidence bound that counts the earlier ones as pending
    (GP-BUCB, Desautels et al. 2014). ``beta`` 4 is two standard deviations (our choice, as is the third).
    """

    name = "bo"
    unused = ("ready", "quantile")
    paper = "Snoek et al. 2012, Practical Bayesian optimization of machine learning algorithms"
    packages = ("botorch",)
    batch: int = 2
    beta: float = 4.0

    def __post_init__(self) -> None:
        if type(self.batch) is not int or self.batch < 1 or self.beta < 0:
            raise RequestError(
                f"bo needs a whole batch of at least 1 and beta >= 0, got {self.batch!r} and {self.beta}"
            )
        if self.setting.space.dimension == 1 and not self.setting.space.also:
            raise RequestError("bo needs at least two weights, or a recipe number, to search")

    @property
    def total_epochs(self) -> int:
        return self.setting.population * self.setting.epochs

    def propose(self, history: History) -> Generation | None:
        s = self.setting
        done = sum(result.generation.size for result in history)
        if done == s.population:
            return None
        first = min(s.population, max(2, s.population // 3))
        if not history:
            weights, extras = population(s.space, s.spread, s.seed, range(first))
        else:
            weights, extras = self.decide(history, min(self.batch, s.population - done))
        member = np.arange(done, done + len(weights))
        fresh = np.full(len(weights), NO_PARENT, dtype=np.int64)
        return Generation(len(history), s.epochs, member, fresh, weights, extras, keep=False)

    def decide(self, history: History, size: int) -> tuple[Array, Extras]:
        """Return the weights (size, T) and extras (size,) to train next."""
        s, step = self.setting, len(history)
        tried = np.concatenate([result.generation.weights for result in history])
        numbers = {key: np.concatenate([result.generation.extras[key] for result in history]) for key in s.space.also}
        score = np.concatenate([result.score for result in history])
        seen = np.isfinite(score)
        rng = generator(s.seed, 0, step)
        points = gaussian_process.coordinates(s.space, tried, numbers)
        if seen.sum() < 2:  # nothing to learn from: go on as random search
            done = len(tried)
            weights, extras = population(s.space, s.spread, s.seed, range(done, done + size))
            return weights, extras
        surrogate = gaussian_process.Surrogate(points[seen], score[seen], seed=int(rng.integers(2**31)))
        rows, values = [], []
        for _ in range(size):
            chosen, found = gaussian_process.best_of(
                s.space, s.spread, lambda x: surrogate.upper(x, self.beta), rng, (tried[seen], _rows(numbers, seen))
            )
            rows.append(chosen)
            values.append(found)
            surrogate.expect(gaussian_process.coordinates(s.space, chosen[None], found))
        return np.array(rows), {key: np.concatenate([v[key] for v in values]) for key in s.space.also}


def _rows(extras: Extras, rows: Array) -> Extras:
    return {key: values[rows] for key, values in extras.items()}
