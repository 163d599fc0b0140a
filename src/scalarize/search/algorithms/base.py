"""The ask/tell seam of a search. An algorithm never trains: it is told scores and answers with a generation.

``ask()`` gives the next :class:`Generation` (or None at the end), ``tell(metrics, score)`` its results. The whole
state is ``history``, the list of what was asked and told; the decision is the pure function ``propose(history)``.
So a search is resumed by giving its history back, and the history is what ``lineage.jsonl`` holds.
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
    """What M members do next; row i belongs to ``member[i]``.

    index: 0, 1, ...; until_epoch: every member trains to this epoch; member (M,): increasing; parent (M,): the
    member of the generation before whose state it continues, itself or a donor, or NO_PARENT for a fresh model;
    weights (M, T): simplex points in the order of the tasks; extras: recipe key to values (M,); keep: False where
    no later generation continues from these members, so that their states need not be stored.
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
        """M."""
        return int(self.member.size)

    def row_of(self, member: int) -> int:
        """The row of ``member``. Raises RequestError where it is not in this generation."""
        row = int(np.searchsorted(self.member, member))
        if row == self.size or self.member[row] != member:
            raise RequestError(f"generation {self.index} has no member {member}")
        return row


@dataclass(frozen=True)
class GenerationResult:
    """A finished generation: metrics (M, T), higher is better, and score (M,); NaN where either is not finite."""

    generation: Generation
    metrics: Array
    score: Array


History = Sequence[GenerationResult]


@dataclass(frozen=True)
class Setting:
    """What every algorithm is told beforehand.

    epochs: of a full training; population: N, or the number of trainings for an algorithm without a population;
    ready: epochs between decisions; quantile: the share Q that is replaced, in (0, 0.5]; seed; spread: of the
    initial weights around the centre of ``space``. Defaults: Royer et al. 2023, section 5 (N 12, ready 3, Q 40 %).
    Raises RequestError for anything outside of these.
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
        """Members replaced a generation: round(Q N), at least 1, at most floor(N / 2)."""
        return self.exploited_of(self.population)

    def exploited_of(self, members: int) -> int:
        """As :attr:`exploited`, where ``members`` are compared."""
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
    """A way to search. Subclasses are dataclasses (fields: hyper-parameters), set ``name`` and ``paper``, and
    implement ``propose`` and ``total_epochs``; registered by :func:`scalarize.search.algorithms.registry.register`.

    asynchronous: whether a member can go on before its whole generation is told (``proceed``).
    judge: how metrics (M, T) become scores (M,), set by the driver: for algorithms that predict metrics."""

    name: ClassVar[str]
    paper: ClassVar[str]
    asynchronous: ClassVar[bool] = False
    packages: ClassVar[tuple[str, ...]] = ()  # of extras, as they are imported
    setting: Setting
    history: list[GenerationResult] = field(default_factory=list)
    judge: Callable[[Array], Array] | None = field(default=None, init=False, repr=False)
    _asked: Generation | None = field(default=None, init=False, repr=False)

    def propose(self, history: History) -> Generation | None:
        """The next generation after ``history``, or None at the end. Pure: equal histories, equal answers."""
        raise NotImplementedError

    def proceed(self, told: GenerationResult, member: int) -> Generation:
        """What ``member`` does next, as a generation of one, where ``told`` holds those of its own generation that are
        scored so far, itself among them. Pure; equal to its row of ``propose`` where all are."""
        raise NotImplementedError

    @property
    def total_epochs(self) -> int:
        """Epochs that all members train together in the whole search (progress, cost)."""
        raise NotImplementedError

    def notes(self, history: History) -> tuple[str, ...]:
        """What should be known before the result is trusted: one line each; none by default."""
        return ()

    def front(self, history: History) -> list[tuple[int, int]]:
        """(generation, row) of the members whose policies are returned beside the best one; none by default."""
        return []

    def ask(self) -> Generation | None:
        """The next generation, or None when the search is over. Asking again before ``tell`` changes nothing."""
        if self._asked is None:
            self._asked = self.propose(self.history)
        return self._asked

    def tell(self, metrics: ArrayLike, score: ArrayLike) -> GenerationResult:
        """The results of the generation last asked: metrics (M, T) and score (M,), in its order.

        Raises RequestError where nothing was asked or the shapes differ.
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
        """Go on after ``history``; ``asked``: the generation that was decided next, if it was."""
        self.history, self._asked = list(history), asked

    @classmethod
    def hyper_names(cls) -> list[str]:
        """What may be set beyond the setting."""
        return [f.name for f in fields(cls) if f.init and f.name not in ("setting", "history")]

    @property
    def hyper(self) -> dict[str, Any]:
        """The hyper-parameters beyond the setting, as they are recorded with a search."""
        return {k: getattr(self, k) for k in self.hyper_names()}


def ranking(score: ArrayLike, member: ArrayLike) -> Indices:
    """Rows (M,) from best to worst: higher scores first, equal ones by member, non-finite ones last."""
    s = np.asarray(score, dtype=np.float64)
    return np.lexsort((np.asarray(member), -np.where(np.isfinite(s), s, -np.inf)))


def first_generation(
    setting: Setting, members: int, until_epoch: int, weights: Array, extras: Mapping[str, Array], keep: bool
) -> Generation:
    """Generation 0: ``members`` fresh models."""
    return Generation(
        0, until_epoch, np.arange(members), np.full(members, NO_PARENT, dtype=np.int64), weights, extras, keep
    )
