"""The ask/tell interface of a search. An algorithm never trains: it is told scores and answers with a generation.

``ask()`` returns the next :class:`Generation` (or None at the end), ``tell(metrics, score)`` takes its results. The
whole state is ``history``, the list of results so far; the decision is the pure function ``propose(history)``. So a
search is resumed by giving its history back, and the history is the content of ``lineage.jsonl``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from scalarize.search.algorithms.generation import NO_PARENT, Generation, GenerationResult, History, Indices, Setting
from scalarize.search.space import Array
from scalarize.utils.errors import RequestError

__all__ = [
    "NO_PARENT",
    "Algorithm",
    "Generation",
    "GenerationResult",
    "History",
    "Indices",
    "Setting",
    "first_generation",
    "ranking",
]


@dataclass(eq=False, kw_only=True)
class Algorithm:
    """Base class of the search algorithms.

    A subclass is a dataclass (its fields are its hyper-parameters), sets ``name`` and ``paper``, implements ``propose``
    and ``total_epochs``, and is registered by :func:`scalarize.search.algorithms.registry.register`.

    Args:
        setting: the settings that all algorithms share.
        history: results of the generations so far. Default: none.

    Attributes:
        asynchronous: True if a member can go on before its whole generation is scored (``proceed``). Default False.
        unused: settings that it does not read.
        inherits: True if a member goes on from the state of another one. Default False.
        judge: function from metrics (M, T) to scores (M,), set by the driver, for algorithms that predict metrics.

    >>> from scalarize.search import Space, create
    >>> algorithm = create("random", Setting(Space(("a", "b")), epochs=4, population=3))
    >>> algorithm.ask().weights.shape
    (3, 2)
    >>> result = algorithm.tell(metrics=[[0.5, 0.5], [0.6, 0.5], [0.4, 0.7]], score=[0.5, 0.55, 0.55])
    """

    name: ClassVar[str]
    paper: ClassVar[str]
    asynchronous: ClassVar[bool] = False
    unused: ClassVar[tuple[str, ...]] = ()
    inherits: ClassVar[bool] = False
    packages: ClassVar[tuple[str, ...]] = ()  # of extras, as they are imported
    setting: Setting
    history: list[GenerationResult] = field(default_factory=list)
    judge: Callable[[Array], Array] | None = field(default=None, init=False, repr=False)
    _asked: Generation | None = field(default=None, init=False, repr=False)

    def propose(self, history: History) -> Generation | None:
        """Decide the next generation; pure: it depends on ``history`` alone.

        Args:
            history: results of all generations so far.

        Returns:
            The next generation, or None at the end.
        """
        raise NotImplementedError

    def proceed(self, result: GenerationResult, member: int) -> Generation:
        """Decide the next step of one member without waiting for its whole generation; pure.

        Args:
            result: the members of its generation that are scored so far, itself among them.
            member: number of the member.

        Returns:
            A generation of one, equal to the member's row of ``propose`` if all members are scored.
        """
        raise NotImplementedError

    @property
    def total_epochs(self) -> int:
        """The epochs that all members together train in the whole search."""
        raise NotImplementedError

    def notes(self, history: History) -> tuple[str, ...]:
        """Return doubts about the result.

        Args:
            history: results of all generations.

        Returns:
            Sentences, one line each; none by default.
        """
        return ()

    def front(self, history: History) -> list[tuple[int, int]]:
        """Select the members whose policies are returned beside the best one.

        Args:
            history: results of all generations.

        Returns:
            Pairs (generation, row); none by default.
        """
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
        """Continue after a history.

        Args:
            history: results of all generations so far.
            asked: the generation that was decided next. Default: not decided yet.
        """
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
