"""The ask/tell interface of a search. An algorithm never trains: it is told scores and answers with a generation.

``ask()`` returns the next :class:`Generation` (or None at the end), ``tell(metrics, score)`` takes its results. The
whole state is ``history``, the list of results so far; the decision is the pure function ``propose(history)``. So a
search is resumed by giving its history back, and the history is the content of ``lineage.jsonl``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scalarize.search.sampling import Spread
from scalarize.search.space import Array, Space
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
        """Return the row of ``member``. Raises RequestError if it is not in this generation."""
        row = int(np.searchsorted(self.member, member))
        if row == self.size or self.member[row] != member:
            raise RequestError(f"generation {self.index} has no member {member}")
        return row


@dataclass(frozen=True)
class GenerationResult:
    """A finished generation: metrics (M, T) and score (M,), higher is better; NaN if not finite.

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
        for name in ("epochs", "population", "ready"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise RequestError(f"{name} must be a whole number of at least 1, got {value}")
        if not 0 < self.quantile <= 0.5:
            raise RequestError(f"quantile must be above 0 and at most 0.5, got {self.quantile}")
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or self.seed < 0:
            raise RequestError(f"seed must be a whole number of at least 0, got {self.seed}")

    @property
    def exploited(self) -> int:
        """The number of members that are replaced at a decision: round(Q N), at least 1, at most floor(N / 2)."""
        return self.exploited_of(self.population)

    def exploited_of(self, members: int) -> int:
        """Return :attr:`exploited` for a comparison of ``members`` members."""
        return min(max(round(self.quantile * members), 1), members // 2)

    @property
    def milestones(self) -> list[int]:
        """The epochs at which members are compared: every ``ready`` epochs, and the end.

        >>> Setting(Space(("a", "b")), epochs=8, ready=3).milestones
        [3, 6, 8]
        """
        return [*range(self.ready, self.epochs, self.ready), self.epochs]


@dataclass(eq=False, kw_only=True)
class Algorithm:
    """Base class of the search algorithms.

    A subclass is a dataclass (its fields are its hyper-parameters), sets ``name`` and ``paper``, implements ``propose``
    and ``total_epochs``, and is registered by :func:`scalarize.search.algorithms.registry.register`.

    Attributes:
        asynchronous: True if a member can go on before its whole generation is scored (``proceed``). Default False.
        judge: function from metrics (M, T) to scores (M,), set by the driver, for algorithms that predict metrics.

    >>> from scalarize.search.algorithms.registry import create
    >>> algorithm = create("random", Setting(Space(("a", "b")), epochs=4, population=3))
    >>> algorithm.ask().weights.shape
    (3, 2)
    >>> result = algorithm.tell(metrics=[[0.5, 0.5], [0.6, 0.5], [0.4, 0.7]], score=[0.5, 0.55, 0.55])
    """

    name: ClassVar[str]
    paper: ClassVar[str]
    asynchronous: ClassVar[bool] = False
    packages: ClassVar[tuple[str, ...]] = ()  # of extras, as they are imported
    setting: Setting
    history: list[GenerationResult] = field(default_factory=list)
    judge: Callable[[Array], Array] | None = field(default=None, init=False, repr=False)
    _asked: Generation | None = field(default=None, init=False, repr=False)

    def propose(self, history: History) -> Generation | None:
        """Return the next generation after ``history``, or None at the end. Pure: it depends on ``history`` alone."""
        raise NotImplementedError

    def proceed(self, result: GenerationResult, member: int) -> Generation:
        """Return the next step of ``member``, a generation of one, without waiting for its whole generation.

        ``result`` holds the members of its generation that are scored so far, itself among them. Pure; equal to the
        member's row of ``propose`` if all members are scored.
        """
        raise NotImplementedError

    @property
    def total_epochs(self) -> int:
        """The epochs that all members together train in the whole search."""
        raise NotImplementedError

    def notes(self, history: History) -> tuple[str, ...]:
        """Return doubts about the result, one line each. Default: none."""
        return ()

    def front(self, history: History) -> list[tuple[int, int]]:
        """Return (generation, row) of the members whose policies are returned beside the best one. Default: none."""
        return []

    def ask(self) -> Generation | None:
        """Return the next generation, or None when the search is over. Asking again before ``tell`` changes nothing."""
        if self._asked is None:
            self._asked = self.propose(self.history)
        return self._asked

    def tell(self, metrics: ArrayLike, score: ArrayLike) -> GenerationResult:
        """Record the results of the generation that was asked for last.

        Args:
            metrics: shape (M, T), in the order of the generation; higher is better.
            score: shape (M,).

        Returns:
            The result that was added to ``history``, with NaN for all that is not finite.

        Raises:
            RequestError: the search is over, or the shapes differ from the generation's.
        """
        asked = self.ask()
        if asked is None:
            raise RequestError("the search is over: nothing is left to tell")
        m, s = np.array(metrics, dtype=np.float64), np.array(score, dtype=np.float64)
        if m.shape != asked.weights.shape or s.shape != asked.member.shape:
            raise RequestError(
                f"generation {asked.index} expects metrics {asked.weights.shape} and score {asked.member.shape}, "
                f"got {m.shape} and {s.shape}"
            )
        m[~np.isfinite(m)] = np.nan
        s[~np.isfinite(s)] = np.nan
        self.history.append(GenerationResult(asked, m, s))
        self._asked = None
        return self.history[-1]

    def restore(self, history: History, asked: Generation | None = None) -> None:
        """Continue after ``history``; ``asked`` is the generation that was decided next, if it was."""
        self.history, self._asked = list(history), asked

    @classmethod
    def hyper_names(cls) -> list[str]:
        """Return the names of the hyper-parameters, beyond the setting."""
        return [f.name for f in fields(cls) if f.init and f.name not in ("setting", "history")]

    @property
    def hyper(self) -> dict[str, Any]:
        """The hyper-parameters beyond the setting, as they are recorded with a search."""
        return {k: getattr(self, k) for k in self.hyper_names()}


def ranking(score: ArrayLike, member: ArrayLike) -> Indices:
    """Return the rows (M,) from best to worst: higher scores first, equal ones by member, non-finite ones last."""
    s = np.asarray(score, dtype=np.float64)
    return np.lexsort((np.asarray(member), -np.where(np.isfinite(s), s, -np.inf)))


def first_generation(
    setting: Setting, members: int, until_epoch: int, weights: Array, extras: Mapping[str, Array], keep: bool
) -> Generation:
    """Make generation 0, of ``members`` fresh models."""
    return Generation(
        0, until_epoch, np.arange(members), np.full(members, NO_PARENT, dtype=np.int64), weights, extras, keep
    )
