"""Population-based bandits: PBT whose explore step uses a Gaussian process."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from scalarize.search.algorithms.base import NO_PARENT, Algorithm, Generation, History, Indices, first_generation
from scalarize.search.algorithms.pbt import exploited
from scalarize.search.algorithms.registry import register
from scalarize.search.sampling import Extras, generators, population
from scalarize.search.space import Array, Space
from scalarize.search.surrogates import gaussian_process
from scalarize.utils.errors import RequestError


@register
@dataclass(eq=False, kw_only=True)
class PB2(Algorithm):
    """Population-based bandits on the simplex (Parker-Holder et al. 2020, algorithm 1).

    The worst members are replaced as in PBT, but the weights of a replaced member maximise an upper confidence bound mu
    + sqrt(beta_t) sigma, beta_t = c1 + c2 log(1 + t) in round t (c1, c2 as in Bogunovic et al. 2016), of a time-varying
    Gaussian process over log-ratio coordinates, recipe numbers and time; members of the same round count as pending.

    The process is fitted to the gain of each member in a round: its score less the score of the state with which it
    began the round, which for a clone is its donor's. Our choices: gains are standardised within their round (learning
    slows down for all alike, and the common start of the first round drops out); the score at the beginning of the
    round, standardised too, is an input, because weak states gain more; the last ``memory`` results are kept.
    """

    name = "pb2"
    inherits = True
    paper = (
        "Parker-Holder et al. 2020, Provably efficient online hyperparameter optimization with population-based bandits"
    )
    packages = ("botorch",)
    c1: float = 0.2
    c2: float = 0.4
    memory: int = 256

    def __post_init__(self) -> None:
        if self.setting.population < 2:
            raise RequestError(f"a population needs at least 2 members, got {self.setting.population}")
        if self.c1 < 0 or self.c2 < 0 or self.memory < 2:
            raise RequestError("pb2 needs c1 >= 0, c2 >= 0 and a memory of at least 2 results")

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
        weights, extras, parent = self.decide(history)
        return Generation(step, s.milestones[step], history[-1].generation.member, parent, weights, extras, keep)

    def decide(self, history: History) -> tuple[Array, Extras, Indices]:
        """Return weights (M, T), extras (M,) and parents (M,) of the next generation."""
        s, result = self.setting, history[-1]
        last = result.generation
        weights, parent = last.weights.copy(), last.member.copy()
        extras = {key: values.copy() for key, values in last.extras.items()}
        losers, donors = exploited(result, s.exploited)
        inputs, values = observations(history, s.space, self.memory)
        if not losers.size or not donors.size:
            return weights, extras, parent
        rngs = generators(s.seed, last.member[losers], last.index + 1)
        source = donors[np.array([rng.integers(donors.size) for rng in rngs], dtype=np.int64)]
        parent[losers] = last.member[source]
        if not len(values):  # no gain is known yet, so there is nothing to learn from: they only copy their donors
            weights[losers] = last.weights[source]
            for key, numbers in extras.items():
                numbers[losers] = last.extras[key][source]
            return weights, extras, parent
        level = _standard(result.score)
        now = float(s.milestones[last.index + 1])
        surrogate = gaussian_process.Surrogate(inputs, values, time=True, seed=int(rngs[0].integers(2**31)))
        stay = np.setdiff1d(np.arange(last.size), losers)
        surrogate.expect(_at(gaussian_process.coordinates(s.space, weights, extras)[stay], level[stay], now))
        beta = self.c1 + self.c2 * math.log(1 + last.index + 1)
        for row, donor, rng in zip(losers, source, rngs, strict=True):

            def bound(points: Array, start: float = float(level[donor])) -> Array:
                return surrogate.upper(_at(points, np.full(len(points), start), now), beta)

            chosen, values_of = gaussian_process.best_of(
                s.space, s.spread, bound, rng, (last.weights, dict(last.extras))
            )
            weights[row] = chosen
            for key in extras:
                extras[key][row] = values_of[key][0]
            here = gaussian_process.coordinates(s.space, weights[[row]], {key: extras[key][[row]] for key in extras})
            surrogate.expect(_at(here, level[[donor]], now))
        return weights, extras, parent


def observations(history: History, space: Space, memory: int) -> tuple[Array, Array]:
    """Return the inputs and targets that the Gaussian process is fitted to.

    Members are left out if their score, or their parent's, is not finite.

    Returns:
        Inputs (n, d + 2): coordinates, the standardised score at the beginning of the round, the epoch at its end; and
        the gains (n,), standardised within their round.
    """
    inputs, gains = [], []
    for step, result in enumerate(history):
        now = result.generation
        start = np.zeros(now.size)
        if step:
            before = history[step - 1]
            rows = np.array([before.generation.row_of(p) if p != NO_PARENT else -1 for p in now.parent.tolist()])
            start = np.where(rows >= 0, before.score[rows], np.nan)
        gain = result.score - start
        seen = np.isfinite(gain)
        if seen.any():
            points = gaussian_process.coordinates(space, now.weights, dict(now.extras))
            inputs.append(_at(points, _standard(start), float(now.until_epoch))[seen])
            gains.append(_standard(gain)[seen])
    if not inputs:
        return np.zeros((0, 0)), np.zeros(0)
    return np.concatenate(inputs)[-memory:], np.concatenate(gains)[-memory:]


def _standard(values: Array) -> Array:
    """Standardise to mean 0 and deviation 1 over the finite entries; the others become NaN."""
    finite = np.where(np.isfinite(values), values, np.nan)
    if not np.isfinite(finite).any():
        return finite
    return np.asarray((finite - np.nanmean(finite)) / (float(np.nanstd(finite)) or 1.0))


def _at(points: Array, level: Array, epoch: float) -> Array:
    return np.column_stack([points, level, np.full(len(points), epoch)])
