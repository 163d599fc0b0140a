"""The trainings of a search: generation by generation, or member by member without a barrier."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from scalarize.search import lineage, sampling
from scalarize.search.algorithms.base import NO_PARENT, Algorithm, Generation, GenerationResult
from scalarize.search.asynchronous import Flow, side_by_side
from scalarize.search.clock import Clock
from scalarize.search.executors.base import Executor, Job, Outcome
from scalarize.search.journal import Journal
from scalarize.search.progress import Report, Tally
from scalarize.search.score import Score
from scalarize.search.space import Array


@dataclass(frozen=True)
class Scoring:
    """Metrics and scores of outcomes.

    Args:
        judge: function from metrics (M, T) to scores (M,).
        split: split on which members are scored.
    """

    judge: Score
    split: str

    def metrics(self, asked: Generation, outcomes: Mapping[int, Outcome], tasks: Sequence[str]) -> Array:
        """Return metrics (M, T) in the order of ``asked``."""
        rows = [[outcomes[m].metrics[t] for t in tasks] for m in asked.member.tolist()]
        return np.array(rows, dtype=np.float64).reshape(len(rows), len(tasks))

    def alone(self, outcome: Outcome, tasks: Sequence[str]) -> tuple[Array, float]:
        """Return the metrics (T,) and the score of one member."""
        metrics = np.array([outcome.metrics[t] for t in tasks])
        return metrics, float(self.score(metrics[None])[0])

    def score(self, metrics: Array) -> Array:
        """Return the scores (M,) of metrics (M, T)."""
        with np.errstate(all="ignore"):  # a metric that is not finite gives such a score, which ranks last
            return self.judge(metrics)


def train_generations(
    algorithm: Algorithm,
    executor: Executor,
    journal: Journal,
    scoring: Scoring,
    clock: Clock,
    progress: Report | None,
) -> GenerationResult | None:
    """Train every generation in turn.

    Args:
        algorithm: the algorithm, restored to the journal's history.
        executor: runs the trainings.
        journal: records decisions and results.
        scoring: metrics and scores of outcomes.
        clock: tells if the time has run out.
        progress: called after every training, or None.

    Returns:
        None at the end; if the time ran out, the result of the members of the last generation that finished.
    """
    tasks = algorithm.setting.space.tasks
    tally = Tally.of(algorithm, clock, progress)
    handles: dict[int, Any] = {}
    while (asked := algorithm.ask()) is not None:
        journal.decide(asked)
        parents = {journal.states.place(asked.index - 1, int(p)) for p in asked.parent if p != NO_PARENT}
        journal.states.prune({asked.index}, parents)
        epochs = lineage.epochs_trained(algorithm.history, asked)
        outcomes: dict[int, Outcome] = {}
        jobs = _jobs(algorithm, journal, asked, scoring.split, handles)
        with contextlib.closing(_outcomes(executor, jobs, journal)) as run:
            while len(outcomes) < asked.size and not clock.over():
                outcome = next(run)
                journal.states.note(outcome, jobs[asked.row_of(outcome.member)])
                outcomes[outcome.member] = outcome
                tally.count(outcome, scoring.alone(outcome, tasks)[1], int(epochs[asked.row_of(outcome.member)]))
        clock.note(asked.index, sum(o.seconds_training for o in outcomes.values()))
        journal.kept.grown("timings.jsonl", clock.digest(), clock.size)
        if len(outcomes) < asked.size:
            some = lineage.subset(asked, sorted(outcomes))
            metrics = scoring.metrics(some, outcomes, tasks)
            return GenerationResult(some, metrics, scoring.score(metrics))
        metrics = scoring.metrics(asked, outcomes, tasks)
        journal.finish(algorithm.tell(metrics, scoring.score(metrics)))
        handles = {member: outcome.handle for member, outcome in outcomes.items()}
    journal.decide(None)
    return None


def train_without_barrier(
    algorithm: Algorithm,
    executor: Executor,
    journal: Journal,
    scoring: Scoring,
    clock: Clock,
    progress: Report | None,
) -> GenerationResult | None:
    """Train member by member, without a barrier between generations; see :func:`train_generations`."""
    setting = algorithm.setting
    tasks, lengths = setting.space.tasks, np.diff([0, *setting.milestones])
    flow = Flow(algorithm, journal, functools.partial(job_of, algorithm, journal, 0, scoring.split))
    algorithm.restore(flow.history())
    tally = Tally.of(algorithm, clock, progress)
    tally.done = sum(int(lengths[stage.index] * stage.ended.sum()) for stage in flow.stages)
    for stage in flow.stages:
        journal.states.plan(stage.index, range(len(stage.begun)))
    journal.kept.grown("events.jsonl", flow.events.digest(), flow.events.size)
    journal.kept.save()
    with contextlib.closing(side_by_side(flow, executor.run)) as run:
        while len(flow) and not clock.over():
            outcome = next(run)
            journal.kept.grown("events.jsonl", flow.events.digest(), flow.events.size)
            journal.states.note(outcome, flow.job_of(outcome.generation, outcome.member), last=True)
            metrics, score = scoring.alone(outcome, tasks)
            ended = flow.end(outcome, metrics, score)
            flow.prune()
            tally.count(outcome, score, int(lengths[outcome.generation]))
            for stage in ended:
                clock.note(stage.index, float(stage.seconds.sum()))
                journal.kept.grown("timings.jsonl", clock.digest(), clock.size)
                journal.rewrite(flow.history())
    journal.rewrite(flow.history())
    algorithm.restore(flow.history())
    if not len(flow):
        return None
    unfinished = flow.stages[flow.slowest]
    clock.note(unfinished.index, float(unfinished.seconds.sum()))
    return unfinished.result()


def _jobs(
    algorithm: Algorithm, journal: Journal, asked: Generation, split: str, handles: Mapping[int, Any]
) -> list[Job]:
    return [
        job_of(algorithm, journal, row, split, asked, handles.get(parent))
        for row, parent in enumerate(asked.parent.tolist())
    ]


def job_of(algorithm: Algorithm, journal: Journal, row: int, split: str, asked: Generation, handle: Any) -> Job:
    """Return the job of a row of ``asked``; ``handle``: the place of its parent's state if not its checkpoint."""
    setting, member, parent = algorithm.setting, int(asked.member[row]), int(asked.parent[row])
    return Job(
        generation=asked.index,
        member=member,
        seed=sampling.training_seed(setting.seed, member, asked.index),
        parent=None if parent == NO_PARENT else handle or journal.states.place(asked.index - 1, parent),
        weights=dict(zip(setting.space.tasks, asked.weights[row].tolist(), strict=True)),
        extras={key: float(values[row]) for key, values in asked.extras.items()},
        until_epoch=asked.until_epoch,
        epochs=setting.epochs,
        split=split,
        checkpoint=journal.states.place(asked.index, member),
        keep=asked.keep,
        parent_digest=None if parent == NO_PARENT else journal.states.digest(asked.index - 1, parent),
        request=journal.kept.request,
    )


def _outcomes(executor: Executor, jobs: Sequence[Job], journal: Journal) -> Generator[Outcome, None, None]:
    """Yield the outcomes of ``jobs``: first those that an earlier call stored, then those that the executor trains."""
    remaining = []
    for job in jobs:
        outcome = journal.states.stored(job)
        if outcome is None:
            remaining.append(job)
        else:
            yield outcome
    with contextlib.closing(executor.run(remaining)) as running:
        yield from running
