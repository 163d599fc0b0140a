"""A search without a barrier: a member goes on as soon as a worker is free, compared with those scored so far.

As in the asynchronous population of Jaderberg et al. (2017), nobody waits for the slowest of a generation. Our choices:
a member is compared with the others at the same epoch, so that fast members are not favoured, and nobody begins a
generation before all have finished the last but one, which keeps at most 2 N checkpoints (lag 1 of the simulation).

``events.jsonl`` records the begin and the end of every training, in order; every decision is a pure function of the
rows before it. So a search is resumed from this file, and two searches are equal if their orders are. In one process
the order is always that of the members and all of them are scored when the next decision is made, which is the search
with a barrier.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scalarize.search import lineage
from scalarize.search.algorithms.base import Algorithm, Generation, GenerationResult
from scalarize.search.events import Events
from scalarize.search.executors.base import Job, Outcome
from scalarize.search.journal import Journal
from scalarize.search.space import Array

Flags = NDArray[np.bool_]


@dataclass
class Stage:
    """A generation in progress: decisions and results of its N members, and the members that have begun and ended."""

    index: int
    until_epoch: int
    weights: Array
    extras: dict[str, Array]
    parent: NDArray[np.int64]
    metrics: Array
    score: Array
    seconds: Array
    begun: Flags
    ended: Flags
    waiting: deque[int] = field(default_factory=deque)  # members that may begin, in this order

    @classmethod
    def empty(cls, index: int, until_epoch: int, members: int, tasks: int, extras: Mapping[str, Any]) -> Stage:
        """Make a stage in which nobody has begun."""
        weights, metrics = np.zeros((members, tasks)), np.zeros((members, tasks))
        numbers = {key: np.zeros(members) for key in extras}
        parent, score, seconds = np.zeros(members, dtype=np.int64), np.zeros(members), np.zeros(members)
        flags = (np.zeros(members, dtype=bool), np.zeros(members, dtype=bool))
        return cls(index, until_epoch, weights, numbers, parent, metrics, score, seconds, *flags)

    def decided(self, members: NDArray[np.int64], keep: bool) -> Generation:
        """Return the decisions for ``members`` (in increasing order)."""
        extras = {key: values[members] for key, values in self.extras.items()}
        return Generation(
            self.index, self.until_epoch, members, self.parent[members], self.weights[members], extras, keep
        )

    def result(self, keep: bool = True) -> GenerationResult:
        """Return the results of the members that have ended."""
        members = np.flatnonzero(self.ended)
        return GenerationResult(self.decided(members, keep), self.metrics[members], self.score[members])


class Flow:
    """The jobs of a search without a barrier, each decided when it is asked for, and their results."""

    def __init__(self, algorithm: Algorithm, journal: Journal, job: Callable[[Generation, Any], Job]) -> None:
        first = algorithm.propose([])
        assert first is not None
        self.algorithm, self.journal, self.job, self.first = algorithm, journal, job, first
        setting = algorithm.setting
        self.stages = [
            Stage.empty(g, until, first.size, first.weights.shape[1], first.extras)
            for g, until in enumerate(setting.milestones)
        ]
        self.stages[0].waiting.extend(range(first.size))
        self.handles: dict[tuple[int, int], Any] = {}
        self.lost: deque[tuple[int, int]] = deque()  # begun by an earlier call and not ended
        self.slowest = 0  # the first generation that has not ended
        self.events = Events(journal.out / "events.jsonl")
        if self.events.rows:
            journal.kept.read("events.jsonl")
        for row in self.events.rows:
            self._replay(row)
        self.lost.extend((s.index, int(m)) for s in self.stages for m in np.flatnonzero(s.begun & ~s.ended))

    # --- the jobs to come: an executor's ``Jobs`` -------------------------------------------------------------------
    def __len__(self) -> int:
        return sum(int((~stage.ended).sum()) for stage in self.stages)

    def __iter__(self) -> Iterator[Job | None]:
        while len(self):
            yield self._next()

    def _next(self) -> Job | None:
        if self.lost:
            return self.job_of(*self.lost.popleft())
        # The slowest generation goes first, and nobody begins before all have ended the last generation but one.
        for stage in self.stages[self.slowest : self.slowest + 2]:
            if stage.waiting:
                member = stage.waiting.popleft()
                decided = self._decide(stage, member)
                self._begin(stage, decided)
                self.events.append({"event": "begin", **lineage.decision_rows(decided)[0]})
                return self.job_of(stage.index, member)
        return None

    def _decide(self, stage: Stage, member: int) -> Generation:
        if stage.index == 0:
            return lineage.subset(self.first, [member])
        return self.algorithm.proceed(self.stages[stage.index - 1].result(), member)

    def job_of(self, generation: int, member: int) -> Job:
        """Make the job of a member that has begun."""
        stage = self.stages[generation]
        keep = generation + 1 < len(self.stages)
        handle = self.handles.get((generation - 1, int(stage.parent[member])))
        return self.job(stage.decided(np.array([member]), keep), handle)

    # --- events -----------------------------------------------------------------------------------------------------
    def end(self, outcome: Outcome, metrics: Array, score: float) -> list[Stage]:
        """Record that a training has ended with ``metrics`` (T,); return the generations that are complete by it."""
        decided = self.stages[outcome.generation].decided(np.array([outcome.member]), True)
        row = lineage.lineage_rows(GenerationResult(decided, metrics[None], np.array([score])))[0]
        self.handles[outcome.generation, outcome.member] = outcome.handle
        self.events.append({"event": "end", **row, "seconds": outcome.seconds_training})
        before = self.slowest
        self._end(row, outcome.seconds_training)
        return self.stages[before : self.slowest]

    def _begin(self, stage: Stage, decided: Generation) -> None:
        member = decided.member[0]
        stage.begun[member] = True
        stage.weights[member], stage.parent[member] = decided.weights[0], decided.parent[0]
        for key, values in decided.extras.items():
            stage.extras[key][member] = values[0]

    def _end(self, row: Mapping[str, Any], seconds: float) -> None:
        result = lineage.result_from([row])
        stage, member = self.stages[result.generation.index], int(result.generation.member[0])
        stage.ended[member] = True
        stage.metrics[member], stage.score[member], stage.seconds[member] = result.metrics[0], result.score[0], seconds
        if stage.index + 1 < len(self.stages):
            self.stages[stage.index + 1].waiting.append(member)
        while self.slowest < len(self.stages) and self.stages[self.slowest].ended.all():
            self.slowest += 1
            for key in [key for key in self.handles if key[0] < self.slowest - 1]:
                del self.handles[key]

    def _replay(self, row: Mapping[str, Any]) -> None:
        if row["event"] == "end":
            self._end(row, row["seconds"])
            return
        stage = self.stages[row["generation"]]
        stage.waiting.remove(row["member"])
        self._begin(stage, lineage.generation_from([row], True))

    # --- results ----------------------------------------------------------------------------------------------------
    def history(self) -> list[GenerationResult]:
        """Return the complete generations."""
        last = len(self.stages) - 1
        return [stage.result(keep=stage.index < last) for stage in self.stages[: self.slowest]]

    def prune(self) -> None:
        """Delete the checkpoints from which nobody can continue any more."""
        s = min(self.slowest, len(self.stages) - 1)
        stage = self.stages[s]
        under_way = {int(p) for p in stage.parent[stage.begun & ~stage.ended]} if s else set()
        undecided = not stage.begun.all()
        states = self.journal.states
        states.prune(range(s - int(undecided), len(self.stages)), {states.place(s - 1, p) for p in under_way})


def side_by_side(flow: Flow, run: Callable[[Flow], Generator[Outcome, None, None]]) -> Generator[Outcome, None, None]:
    """Yield first the outcomes that an earlier call stored but did not record, then those that the executor trains."""
    for generation, member in list(flow.lost):
        outcome = flow.journal.states.stored(flow.job_of(generation, member))
        if outcome is not None:
            flow.lost.remove((generation, member))
            yield outcome
    with contextlib.closing(run(flow)) as running:
        yield from running
