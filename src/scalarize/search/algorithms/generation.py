"""The values that a search algorithm and its driver exchange: settings, generations and their results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from scalarize.search.sampling import Spread
from scalarize.search.space import Array, Space
from scalarize.utils import limits
from scalarize.utils.errors import RequestError

Indices = NDArray[np.int64]
NO_PARENT = -1


@dataclass(frozen=True)
class Generation:
    """The next step of M members; row i belongs to ``member[i]``.

    Args:
        index: number of the generation, from 0.
        until_epoch: epoch to which every member trains.
        member: numbers of the members, int64 (M,), increasing.
        parent: the member of the generation before whose state each one continues, int64 (M,): itself or a donor, or
            NO_PARENT for a fresh model.
        weights: simplex points (M, T), in the order of the tasks.
        extras: recipe numbers (M,) by recipe key. Default: none.
        keep: False if no later generation continues from these members, so that their states need not be stored.
            Default True.
    """

    index: int
    until_epoch: int
    member: Indices
    parent: Indices
    weights: Array
    extras: Mapping[str, Array] = field(default_factory=dict)
    keep: bool = True

    @property
    def size(self) -> int:
        """The number of members M."""
        return int(self.member.size)

    def row_of(self, member: int) -> int:
        """Return the row of a member.

        Args:
            member: number of the member.

        Returns:
            Its row, in 0, ..., M - 1.

        Raises:
            RequestError: it is not in this generation.
        """
        row = int(np.searchsorted(self.member, member))
        if row == self.size or self.member[row] != member:
            raise RequestError(f"generation {self.index} has no member {member}")
        return row


@dataclass(frozen=True)
class GenerationResult:
    """A finished generation.

    Args:
        generation: the generation.
        metrics: metrics (M, T), higher is better; NaN if not finite.
        score: scores (M,), higher is better; NaN if not finite.

    >>> fresh = Generation(0, 3, np.array([0]), np.array([NO_PARENT]), np.array([[0.5, 0.5]]))
    >>> GenerationResult(fresh, np.array([[0.6, 0.8]]), np.array([0.7])).score.tolist()
    [0.7]
    """

    generation: Generation
    metrics: Array
    score: Array


History = Sequence[GenerationResult]


@dataclass(frozen=True)
class Setting:
    """The settings that all algorithms share. Defaults are those of Royer et al. 2023, section 5.

    Args:
        space: the weights and recipe numbers that may be chosen.
        epochs: epochs of a full training.
        population: members N, or full trainings for an algorithm without a population. Default 12.
        ready: epochs between decisions. Default 3.
        quantile: share Q of the members that is replaced at a decision, in (0, 0.5]. Default 0.4.
        seed: seed of all decisions and trainings, at least 0. Default 0.
        spread: distribution of the initial weights around the centre of ``space``. Default: log-normal, width 0.7.

    Raises:
        RequestError: a value is out of range.

    >>> Setting(Space(("a", "b")), epochs=8, population=12, quantile=0.25).exploited
    3
    """

    space: Space
    epochs: int
    population: int = 12
    ready: int = 3
    quantile: float = 0.4
    seed: int = 0
    spread: Spread = field(default_factory=Spread)

    def __post_init__(self) -> None:
        for name in ("epochs", "population", "ready", "seed"):
            if isinstance(value := getattr(self, name), np.integer):  # which no JSON holds
                object.__setattr__(self, name, int(value))
        for name in ("epochs", "population", "ready"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise RequestError(f"{name} must be a whole number of at least 1, got {value}")
            limits.check(name, value, limits.POPULATION if name == "population" else limits.EPOCHS)
        if not 0 < self.quantile <= 0.5:
            raise RequestError(f"quantile must be above 0 and at most 0.5, got {self.quantile}")
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or self.seed < 0:
            raise RequestError(f"seed must be a whole number of at least 0, got {self.seed}")
        limits.check("seed", self.seed, limits.SEED, least=0)

    @property
    def exploited(self) -> int:
        """The number of members that are replaced at a decision: round(Q N), at least 1, at most floor(N / 2)."""
        return self.exploited_of(self.population)

    def exploited_of(self, members: int) -> int:
        """Return :attr:`exploited` for a comparison of other than N members.

        Args:
            members: number of members that are compared.

        Returns:
            The number of members that are replaced.
        """
        return min(max(round(self.quantile * members), 1), members // 2)

    @property
    def milestones(self) -> list[int]:
        """The epochs at which members are compared: every ``ready`` epochs, and the end.

        >>> Setting(Space(("a", "b")), epochs=8, ready=3).milestones
        [3, 6, 8]
        """
        return [*range(self.ready, self.epochs, self.ready), self.epochs]
