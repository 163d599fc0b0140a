"""The driver: asks an algorithm, has an executor train, writes down what came of it; nothing is lost by a crash."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scalarize.search import lineage, sampling
from scalarize.search.algorithms.base import NO_PARENT, Algorithm, Generation, GenerationResult
from scalarize.search.asynchronous import Flow, side_by_side
from scalarize.search.clock import Clock
from scalarize.search.executors.base import Executor, Job, Outcome, load_stored_outcome
from scalarize.search.journal import Journal
from scalarize.search.result import SearchResult, summarise
from scalarize.search.score import Score
from scalarize.search.score import create as create_score
from scalarize.search.space import Array
from scalarize.utils import files
from scalarize.utils.errors import RequestError, RunError


@dataclass(frozen=True)
class Progress:
    """What a search is doing, told after every job: ``best`` is the best score of any member so far."""

    generation: int
    member: int
    score: float
    best: float
    epochs_done: int
    epochs_total: int
    seconds: float


def describe(algorithm: Algorithm) -> dict[str, Any]:
    """Everything that the algorithm's decisions depend on, as plain data: part of the request and of provenance."""
    s = algorithm.setting
    return {
        "algorithm": algorithm.name,
        **{f.name: getattr(s, f.name) for f in dataclasses.fields(s) if f.name not in ("space", "spread")},
        "spread": dataclasses.asdict(s.spread),
        "tasks": list(s.space.tasks),
        "center": s.space.expand(s.space.center_point).tolist(),
        "groups": [list(group) for group in s.space.groups],
        "ranges": {key: dataclasses.asdict(wanted) for key, wanted in s.space.also.items()},
        "floor": s.space.floor,
        "hyper": algorithm.hyper,
    }


def run_search(
    algorithm: Algorithm,
    executor: Executor,
    out: str | Path,
    *,
    score: str = "average",
    reference: Mapping[str, float] | None = None,
    split: str = "validation",
    share: float = 1.0,
    request: Mapping[str, Any] | None = None,
    resume: bool = False,
    max_time: float | None = None,
    asynchronous: bool = False,
    checkpoints: str | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> SearchResult:
    """Search to the end, or until ``max_time`` seconds have passed, and leave ``policy.json`` in ``out``.

    algorithm: at its beginning; executor: closed at the end; score and reference: see :mod:`scalarize.search.score`;
    split: what members are scored on; share: of the training set that members train on (counts in ``trainings``);
    request: plain data that must be equal when a search is resumed and that goes into the policy's provenance
    (no paths, hosts or times); asynchronous: without a barrier between generations, see
    :mod:`scalarize.search.asynchronous`; checkpoints: a folder or a URL that fsspec opens, under which members' states
    lie in a folder of this search's own (default ``out/checkpoints``); progress: called after every job.

    Equal requests give equal bytes in ``lineage.jsonl`` and ``policy.json``, through any executor and any number of
    crashes and resumptions; without a barrier, and trained side by side, only where trainings end in an equal order.
    Time is looked at between jobs; a stopped search is continued by ``resume``.

    Raises RequestError where the algorithm cannot do without a barrier, or ``out`` holds a search and ``resume`` is not
    set, holds another one, is damaged or in use, or has its checkpoints elsewhere; RunError where the disk is full or
    no member has a finite score.
    """
    begun = time.monotonic()
    tasks = algorithm.setting.space.tasks
    judge = create_score(score, tasks, reference)
    if max_time is not None and not max_time > 0:
        raise RequestError(f"`max_time` must be a positive number of seconds, got {max_time}")
    full = {**(request or {}), **describe(algorithm), "score": score, "split": split, "share": share}
    if asynchronous:
        if not algorithm.asynchronous:
            raise RequestError(f"{algorithm.name} decides for whole generations: it cannot search without a barrier")
        full["asynchronous"] = True
    if reference is not None:
        full["reference"] = {t: float(reference[t]) for t in tasks if t in reference}
    journal = Journal(Path(out), checkpoints)
    if not resume:
        journal.refuse_overwrite()
    with contextlib.closing(executor), files.lock(out):
        if not resume:
            journal.refuse_overwrite()
        journal.open(full, decided=not asynchronous)
        algorithm.judge = judge
        algorithm.restore(journal.history, journal.asked)
        clock = Clock(journal.out / "timings.jsonl", begun, max_time)
        go = _without_barrier if asynchronous else _to_the_end
        partial = go(algorithm, executor, journal, _Scoring(judge, split), clock, progress)
        history = [*algorithm.history, *_countable(algorithm.history, partial)]
        if not history:
            raise RunError(f"`max_time` {max_time}: not one training finished in time, so nothing was found")
        result = summarise(algorithm, history, full, share, finished=partial is None)
        for path, policy in result.files():
            policy.save(journal.out / path)
        for left in set(journal.out.glob("front/*.json")) - {journal.out / path for path, _ in result.files()}:
            left.unlink()  # of a longer front, found when time had run out
        if result.finished:
            journal.prune()
        seconds, training = clock.totals()
        return dataclasses.replace(result, out=str(out), seconds=seconds, seconds_training=training)


@dataclass(frozen=True)
class _Scoring:
    judge: Score
    split: str

    def metrics(self, asked: Generation, outcomes: Mapping[int, Outcome], tasks: Sequence[str]) -> Array:
        """Metrics (M, T) in the order of ``asked``."""
        rows = [[outcomes[m].metrics[t] for t in tasks] for m in asked.member.tolist()]
        return np.array(rows, dtype=np.float64).reshape(len(rows), len(tasks))

    def alone(self, outcome: Outcome, tasks: Sequence[str]) -> tuple[Array, float]:
        """Metrics (T,) and score of one member."""
        metrics = np.array([outcome.metrics[t] for t in tasks])
        return metrics, float(self.score(metrics[None])[0])

    def score(self, metrics: Array) -> Array:
        with np.errstate(all="ignore"):  # a metric that is not finite gives such a score, which ranks last
            return self.judge(metrics)


def _to_the_end(
    algorithm: Algorithm,
    executor: Executor,
    journal: Journal,
    scoring: _Scoring,
    clock: Clock,
    progress: Callable[[Progress], None] | None,
) -> GenerationResult | None:
    """Every generation in turn. None at the end; where time ran out, the members of the last one that finished."""
    tasks = algorithm.setting.space.tasks
    tally = _Tally.of(algorithm, clock, progress)
    handles: dict[int, Any] = {}
    while (asked := algorithm.ask()) is not None:
        journal.decide(asked)
        parents = {journal.checkpoint(asked.index - 1, int(p)) for p in asked.parent if p != NO_PARENT}
        journal.prune({asked.index}, parents)
        epochs = lineage.epochs_trained(algorithm.history, asked)
        outcomes: dict[int, Outcome] = {}
        with contextlib.closing(_outcomes(executor, _jobs(algorithm, journal, asked, scoring.split, handles))) as run:
            while len(outcomes) < asked.size and not clock.over():
                outcome = next(run)
                outcomes[outcome.member] = outcome
                tally.tell(outcome, scoring.alone(outcome, tasks)[1], int(epochs[asked.row_of(outcome.member)]))
        clock.note(asked.index, sum(o.seconds_training for o in outcomes.values()))
        if len(outcomes) < asked.size:
            some = lineage.subset(asked, sorted(outcomes))
            metrics = scoring.metrics(some, outcomes, tasks)
            return GenerationResult(some, metrics, scoring.score(metrics))
        metrics = scoring.metrics(asked, outcomes, tasks)
        journal.finish(algorithm.tell(metrics, scoring.score(metrics)))
        handles = {member: outcome.handle for member, outcome in outcomes.items()}
    journal.decide(None)
    return None


def _without_barrier(
    algorithm: Algorithm,
    executor: Executor,
    journal: Journal,
    scoring: _Scoring,
    clock: Clock,
    progress: Callable[[Progress], None] | None,
) -> GenerationResult | None:
    """As :func:`_to_the_end`, member by member."""
    tasks, lengths = algorithm.setting.space.tasks, np.diff([0, *algorithm.setting.milestones])
    flow = Flow(algorithm, journal, functools.partial(_job, algorithm, journal, 0, scoring.split))
    algorithm.restore(flow.history())
    tally = _Tally.of(algorithm, clock, progress)
    tally.done = sum(int(lengths[stage.index] * stage.ended.sum()) for stage in flow.stages)
    with contextlib.closing(side_by_side(flow, executor.run)) as run:
        while len(flow) and not clock.over():
            outcome = next(run)
            metrics, score = scoring.alone(outcome, tasks)
            ended = flow.end(outcome, metrics, score)
            flow.prune()
            tally.tell(outcome, score, int(lengths[outcome.generation]))
            for stage in ended:
                clock.note(stage.index, float(stage.seconds.sum()))
                journal.rewrite(flow.history())
    journal.rewrite(flow.history())
    algorithm.restore(flow.history())
    if not len(flow):
        return None
    unfinished = flow.stages[flow.slowest]
    clock.note(unfinished.index, float(unfinished.seconds.sum()))
    return unfinished.told()


@dataclass
class _Tally:
    """What has been done so far, for whoever watches."""

    done: int
    best: float
    total: int
    clock: Clock
    progress: Callable[[Progress], None] | None

    @classmethod
    def of(cls, algorithm: Algorithm, clock: Clock, progress: Callable[[Progress], None] | None) -> _Tally:
        history = algorithm.history
        done = sum(int(lineage.epochs_trained(history, t.generation).sum()) for t in history)
        best = max((float(np.nanmax(t.score)) for t in history if np.isfinite(t.score).any()), default=-math.inf)
        return cls(done, best, algorithm.total_epochs, clock, progress)

    def tell(self, outcome: Outcome, score: float, epochs: int) -> None:
        self.done += epochs
        self.best = max(self.best, score) if math.isfinite(score) else self.best
        if self.progress is not None:
            seen = (outcome.generation, outcome.member, score, self.best)
            self.progress(Progress(*seen, self.done, self.total, self.clock.passed()))


def _countable(history: Sequence[GenerationResult], partial: GenerationResult | None) -> list[GenerationResult]:
    """Members of an unfinished generation count where nothing else does, or where they trained no longer."""
    if partial is None or partial.generation.size == 0:
        return []
    longest = max((t.generation.until_epoch for t in history), default=partial.generation.until_epoch)
    return [partial] if partial.generation.until_epoch <= longest else []


def _jobs(
    algorithm: Algorithm, journal: Journal, asked: Generation, split: str, handles: Mapping[int, Any]
) -> list[Job]:
    return [
        _job(algorithm, journal, row, split, asked, handles.get(parent))
        for row, parent in enumerate(asked.parent.tolist())
    ]


def _job(algorithm: Algorithm, journal: Journal, row: int, split: str, asked: Generation, handle: Any) -> Job:
    """The job of a row of ``asked``; handle: where its parent's state lies, if not in its checkpoint."""
    setting, member, parent = algorithm.setting, int(asked.member[row]), int(asked.parent[row])
    return Job(
        generation=asked.index,
        member=member,
        seed=sampling.training_seed(setting.seed, member, asked.index),
        parent=None if parent == NO_PARENT else handle or journal.checkpoint(asked.index - 1, parent),
        weights=dict(zip(setting.space.tasks, asked.weights[row].tolist(), strict=True)),
        extras={key: float(values[row]) for key, values in asked.extras.items()},
        until_epoch=asked.until_epoch,
        epochs=setting.epochs,
        split=split,
        checkpoint=journal.checkpoint(asked.index, member),
        keep=asked.keep,
    )


def _outcomes(executor: Executor, jobs: Sequence[Job]) -> Generator[Outcome, None, None]:
    """Outcomes of ``jobs``: first what an earlier call already finished, then what the executor trains."""
    remaining = []
    for job in jobs:
        outcome = load_stored_outcome(job)
        if outcome is None:
            remaining.append(job)
        else:
            yield outcome
    with contextlib.closing(executor.run(remaining)) as running:
        yield from running
