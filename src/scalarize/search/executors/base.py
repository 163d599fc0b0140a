"""The seam between decisions and trainings: jobs in, outcomes out, in any order and anywhere.

A job is a pure function of its content, so an executor may run it twice, elsewhere or after a crash.
"""

from __future__ import annotations

import contextlib
import math
import os
import random
import time
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from scalarize.search.executors import checkpoints
from scalarize.utils.errors import DivergedError, RequestError, RunError
from scalarize.utils.seeds import fork_rng
from scalarize.weights.policy import Policy

if TYPE_CHECKING:
    from scalarize.learners.supervised import Learner  # deciding needs no torch


class LearnerFactory(Protocol):
    """Makes a learner from a seed and the recipe numbers searched beside the weights (none by default).

    It is called with ``seed=`` and those numbers by name; any class or function that takes what it is asked for will
    do. Recipe numbers hold for the learner made with them: ``load_state_dict`` must not bring back a donor's.
    """

    def __call__(self, *args: Any, **extras: Any) -> Learner: ...


@dataclass(frozen=True)
class Job:
    """One member's training in one generation.

    seed: of its learner; parent: None for a fresh model, else where the state to continue lies: a path, or the
    ``handle`` of an earlier outcome of the same executor; weights: task to weight; extras: recipe key to value;
    until_epoch: of ``epochs``; split: on which it is scored; checkpoint: the file that must hold the outcome when it
    is reported; keep: whether that file needs the state too, or only the metrics.
    """

    generation: int
    member: int
    seed: int
    parent: Any | None
    weights: Mapping[str, float]
    extras: Mapping[str, float]
    until_epoch: int
    epochs: int
    split: str
    checkpoint: str
    keep: bool


@dataclass(frozen=True)
class Outcome:
    """What came of a job: a metric a task (higher is better), seconds in ``train``, and where the state lies."""

    member: int
    metrics: dict[str, float]
    seconds_training: float
    handle: Any | None = field(default=None, compare=False)
    generation: int = 0


class Jobs(Protocol):
    """What an executor is given: a list of jobs, or jobs that are decided as they are asked for.

    ``len``: how many will come in all. The iterator gives the next one to begin, or None where it depends on one
    that is under way: to be asked again once another outcome was yielded.
    """

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Job | None]: ...


class Executor(Protocol):
    """Runs jobs. Everything else about machines, processes and memory is its own affair."""

    def run(self, jobs: Jobs) -> Generator[Outcome, None, None]:
        """Outcomes as they come, one a job, in any order; each is in ``job.checkpoint`` before it is yielded.

        Closing the generator early abandons the jobs not yet begun.
        """

    def close(self) -> None:
        """Let go of processes and memory."""


def run_job(factory: LearnerFactory, job: Job, parent: dict[str, Any] | None) -> tuple[Outcome, dict[str, Any] | None]:
    """Train and score one member: the pure heart of every executor. ``parent`` is the state behind ``job.parent``.

    Returns the outcome and, if ``job.keep``, the state (which may share memory with the learner). A training that
    diverges (DivergedError, FloatingPointError) has metrics NaN; any other error is the caller's. Inside, the global
    generators of torch, numpy and Python begin from ``job.seed``: a learner that draws from them is reproducible too.
    """
    with own_randomness(job.seed):
        learner = factory(seed=job.seed, **job.extras)
        if parent is not None:
            learner.load_state_dict(parent)
        policy = Policy.constant(dict(job.weights), job.epochs)
        before = time.perf_counter()
        try:
            learner.train(policy, job.until_epoch)
            seconds = time.perf_counter() - before
            measured = learner.evaluate(job.split)
        except (DivergedError, FloatingPointError):
            seconds, measured = time.perf_counter() - before, dict.fromkeys(job.weights, math.nan)
    missing = [t for t in job.weights if t not in measured]
    if missing:
        raise RunError(f"evaluate({job.split!r}) gave no metric of task {missing[0]!r}, only {sorted(measured)}")
    metrics = {t: float(measured[t]) for t in job.weights}
    outcome = Outcome(job.member, metrics, seconds, generation=job.generation)
    return outcome, learner.state_dict() if job.keep else None


@contextlib.contextmanager
def own_randomness(seed: int) -> Iterator[None]:
    """The global generators begin from ``seed`` inside and are as before afterwards."""
    import torch

    plain, arrays = random.getstate(), np.random.get_state()
    with fork_rng(seed, [torch.device("cuda", k) for k in range(torch.cuda.device_count())]):
        np.random.seed(seed % 2**32)
        random.seed(seed)
        try:
            yield
        finally:
            random.setstate(plain)
            np.random.set_state(arrays)


def run_and_store(factory: LearnerFactory, job: Job) -> Outcome:
    """:func:`run_job` from checkpoint to checkpoint; the outcome's handle is the path of its own."""
    parent = None if job.parent is None else checkpoints.read(os.fspath(job.parent))[1]
    outcome, state = run_job(factory, job, parent)
    checkpoints.write(job.checkpoint, outcome.metrics, outcome.seconds_training, state)
    return replace(outcome, handle=job.checkpoint)


def load_stored_outcome(job: Job) -> Outcome | None:
    """The outcome of ``job`` where it is already stored whole; None where it must be trained (again)."""
    with contextlib.suppress(RequestError):
        metrics, _, seconds = checkpoints.read(job.checkpoint)
        return Outcome(job.member, metrics, seconds, job.checkpoint, job.generation)
    return None
