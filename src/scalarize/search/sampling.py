"""Random choices of a search, each keyed by (seed, member, generation): none depends on the order of the others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from scalarize.search.space import Array, Space
from scalarize.utils.errors import RequestError
from scalarize.weights import simplex

Extras = dict[str, Array]

_DECISIONS, _TRAINING = 0, 1  # the two streams of a member: its decisions and its training


def generator(seed: int, member: int, generation: int) -> np.random.Generator:
    """Return the generator of a member's decisions in a generation."""
    key = np.random.SeedSequence(seed, spawn_key=(_DECISIONS, generation, member))
    return np.random.Generator(np.random.PCG64(key))


def generators(seed: int, members: Iterable[int], generation: int) -> list[np.random.Generator]:
    """Return one :func:`generator` per member."""
    return [generator(seed, int(m), generation) for m in members]


def training_seed(seed: int, member: int, generation: int) -> int:
    """Return the seed (63 bits) of a member's learner in a generation: a clone draws other numbers than its donor."""
    key = np.random.SeedSequence(seed, spawn_key=(_TRAINING, generation, member))
    return int(key.generate_state(1, np.uint64)[0] >> np.uint64(1))


@dataclass(frozen=True)
class Spread:
    """Distribution of the initial weights around the centre.

    Args:
        kind: ``lognormal``: centre times exp(N(0, width^2)) in each coordinate; ``dirichlet``: a Dirichlet distribution
            with the centre as its mean. Default ``lognormal``.
        width: above 0. For ``lognormal`` the standard deviation of the logarithm; the default 0.7 is a factor of two
            either way (our choice). For ``dirichlet`` the concentration (D around a uniform centre: uniform).

    Raises:
        RequestError: the kind is unknown or the width not positive.

    >>> Spread().narrower(2.0)
    Spread(kind='lognormal', width=0.35)
    """

    kind: Literal["lognormal", "dirichlet"] = "lognormal"
    width: float = 0.7

    def __post_init__(self) -> None:
        if self.kind not in ("lognormal", "dirichlet"):
            raise RequestError(f"unknown spread {self.kind!r}: choose lognormal or dirichlet")
        if not self.width > 0:
            raise RequestError(f"the width of the spread must be positive, got {self.width}")

    def narrower(self, factor: float) -> Spread:
        """Return a narrower spread of the same kind.

        Args:
            factor: positive number by which deviations shrink.

        Returns:
            The narrower spread.
        """
        width = self.width / factor if self.kind == "lognormal" else self.width * factor**2
        return Spread(self.kind, width)


def initial(space: Space, spread: Spread, rngs: Sequence[np.random.Generator]) -> tuple[Array, Extras]:
    """Draw points (M, D) around the centre and extras (M,) over their ranges, one row per generator in ``rngs``."""
    center, size = space.center_point, (len(rngs), space.dimension)
    if spread.kind == "lognormal":
        draws = np.empty(size)
        for row, rng in zip(draws, rngs, strict=True):
            rng.standard_normal(out=row)
        draws *= spread.width
        points = simplex.normalise_rows(center * np.exp(draws, out=draws))
    else:
        points = np.array([simplex.sample_dirichlet(rng, center, spread.width) for rng in rngs]).reshape(size)
    shares = np.array([rng.random(len(space.also)) for rng in rngs]).reshape(len(rngs), len(space.also))
    extras = {key: wanted.at(shares[:, k]) for k, (key, wanted) in enumerate(space.also.items())}
    return space.limit(points), extras


def population(space: Space, spread: Spread, seed: int, members: Sequence[int]) -> tuple[Array, Extras]:
    """Draw the first generation: task weights (M, T) and extras (M,); member 0 lies exactly at the centre."""
    points, extras = initial(space, spread, generators(seed, members, 0))
    for row in (i for i, m in enumerate(members) if m == 0):
        points[row] = space.center_point
        for key, wanted in space.also.items():
            extras[key][row] = wanted.middle
    return space.expand(points), extras


def explore(
    space: Space,
    spread: Spread,
    weights: Array,
    extras: Extras,
    rngs: Sequence[np.random.Generator],
    factors: Sequence[float],
    resample: float,
) -> tuple[Array, Extras]:
    """Perturb task weights and extras: the explore step of PBT.

    With probability ``resample`` a member is drawn anew as in :func:`initial`; otherwise each of its coordinates is
    multiplied by a factor. The result is normalised and raised to the floor.

    Args:
        space: the search space.
        spread: distribution of members that are drawn anew.
        weights: task weights (M, T).
        extras: recipe numbers (M,) by key.
        rngs: one generator per member.
        factors: the factors to draw from.
        resample: probability of drawing anew.
    """
    if not rngs:
        return weights, extras
    points = space.collapse(weights)
    steps = np.asarray(factors, dtype=np.float64)
    anew = np.array([rng.random() < resample for rng in rngs], dtype=bool)
    choice = np.array([rng.integers(steps.size, size=space.dimension + len(space.also)) for rng in rngs])
    choice = choice.reshape(len(rngs), space.dimension + len(space.also))
    moved = space.limit(simplex.normalise_rows(points * steps[choice[:, : space.dimension]]))
    values = {
        key: np.clip(extras[key] * steps[choice[:, space.dimension + k]], wanted.low, wanted.high)
        for k, (key, wanted) in enumerate(space.also.items())
    }
    if anew.any():
        fresh, fresh_values = initial(space, spread, [rng for rng, again in zip(rngs, anew, strict=True) if again])
        moved[anew] = fresh
        for key in values:
            values[key][anew] = fresh_values[key]
    return space.expand(moved), values
