"""The interface between decisions and trainings: an executor takes jobs and yields outcomes, in any order and anywhere.

A job is a pure function of its content, so an executor may run it twice, elsewhere or after a crash.
"""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from scalarize.search.executors import checkpoints, states, storage
from scalarize.utils import digests, seals
from scalarize.utils.errors import DivergedError, RequestError, RunError
from scalarize.utils.seeds import own_randomness
from scalarize.weights.policy import Policy

if TYPE_CHECKING:
    from scalarize.learners.supervised import Learner  # the search package imports without torch


class LearnerFactory(Protocol):
    """A function that makes a learner from a seed and the recipe numbers searched beside the weights (none by default).

    Recipe numbers hold for the learner made with them: ``load_state_dict`` must not restore a donor's.

    >>> from scalarize.search.toy_problems import Stationary
    >>> factory: LearnerFactory = Stationary
    >>> factory(seed=0).tasks
    ('a', 'b', 'c', 'd')
    """

    def __call__(self, *args: Any, **extras: Any) -> Learner: ...


@dataclass(frozen=True)
class Job:
    """The training of one member in one generation.

    Args:
        generation: number of the generation.
        member: number of the member.
        seed: seed of its learner.
        parent: None for a fresh model; otherwise the place of the state to continue: a path, or the ``handle`` of an
            earlier outcome of the same executor.
        weights: weight by task.
        extras: value by recipe key.
        until_epoch: epoch to train to.
        epochs: epochs of a full training.
        split: split on which the member is scored.
        checkpoint: the file that must hold the outcome before it is reported.
        keep: True if that file needs the state too, False if the metrics are enough.
        parent_digest: of the parent's file, as it was written; None if it is not known. Default None.
        request: names the request of the search. Default None.
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
    parent_digest: str | None = None
    request: str | None = None

    @property
    def by(self) -> dict[str, Any]:
        """The origin that its file states: request, seed, member and generation."""
        return {"request": self.request, "seed": self.seed, "member": self.member, "generation": self.generation}


@dataclass(frozen=True)
class Outcome:
    """The result of a job.

    Args:
        member: number of the member.
        metrics: metric by task; higher is better.
        seconds_training: seconds in ``train``.
        handle: place of the state, for the executor that made it. Default None.
        generation: number of the generation. Default 0.
        digest: of the stored file, see :func:`scalarize.utils.digests.of`; None: the driver reads it. Default None.
        size: of that file in bytes. Default 0.

    >>> Outcome(3, {"a": 0.5}, seconds_training=60.0).metrics
    {'a': 0.5}
    """

    member: int
    metrics: dict[str, float]
    seconds_training: float
    handle: Any | None = field(default=None, compare=False)
    generation: int = 0
    digest: str | None = field(default=None, compare=False)
    size: int = field(default=0, compare=False)


class Jobs(Protocol):
    """The jobs given to an executor: a list, or jobs that are decided as they are asked for.

    ``len`` is the number of outcomes to come. The iterator gives the next job to begin, or None if it depends on one
    that is running: the executor asks again after the next outcome.
    """

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Job | None]: ...


class Executor(Protocol):
    """Runs jobs. Everything else about machines, processes and memory is left to it."""

    def run(self, jobs: Jobs) -> Generator[Outcome, None, None]:
        """Run jobs; closing the generator early abandons those that are not yet begun.

        Args:
            jobs: the jobs.

        Returns:
            The outcomes as they come, one per job, in any order; each is stored in ``job.checkpoint`` before that.
        """

    def close(self) -> None:
        """Release processes and memory."""


def run_job(factory: LearnerFactory, job: Job, parent: dict[str, Any] | None) -> tuple[Outcome, dict[str, Any] | None]:
    """Train and score one member: the pure core of every executor.

    A training that diverges (DivergedError, FloatingPointError) has metrics NaN; any other error is passed on. Inside,
    the global generators of torch, numpy and Python are seeded with ``job.seed``, so a learner that draws from them is
    reproducible too.

    Args:
        factory: makes the learner.
        job: the training.
        parent: the state behind ``job.parent``, or None.

    Returns:
        The outcome and, if ``job.keep``, the state (which may share memory with the learner).

    Raises:
        RunError: the learner's metrics lack a task.
        RequestError: the learner's state cannot be read back, or restores a recipe number that is searched; its
            ``epoch`` does not count finished epochs.
    """
    with own_randomness(job.seed):
        learner = factory(seed=job.seed, **job.extras)
        own = restored = states.numbers_of(learner, job.extras) if job.extras else {}
        if parent is not None:
            learner.load_state_dict(parent)
            kept = parent.get("epoch")
            if isinstance(kept, int) and learner.epoch < kept:
                states.check_epoch("load_state_dict", learner.epoch, kept)
            restored = states.numbers_of(learner, job.extras) if job.extras else {}
        elif job.keep:
            states.check(learner.state_dict())  # before anything is trained
        policy = Policy.constant(dict(job.weights), job.epochs)
        before = time.perf_counter()
        try:
            learner.train(policy, job.until_epoch)
            seconds = time.perf_counter() - before
            states.check_epoch(f"train(policy, {job.until_epoch})", learner.epoch, job.until_epoch)
            if restored != own:
                states.check_numbers(job.extras, own, restored, states.numbers_of(learner, job.extras))
            measured = learner.evaluate(job.split)
        except (DivergedError, FloatingPointError):
            seconds, measured = time.perf_counter() - before, dict.fromkeys(job.weights, math.nan)
    missing = [t for t in job.weights if t not in measured]
    if missing:
        raise RunError(f"evaluate({job.split!r}) gave no metric of task {missing[0]!r}, only {sorted(measured)}")
    metrics = {t: float(measured[t]) for t in job.weights}
    outcome = Outcome(job.member, metrics, seconds, generation=job.generation)
    return outcome, states.check(learner.state_dict()) if job.keep else None


def run_and_store(factory: LearnerFactory, job: Job) -> Outcome:
    """Run a job from its parent's checkpoint to its own; the outcome's handle is the path of the latter.

    Raises RequestError if the parent's file is gone, or is not the one that was written.
    """
    parent = None
    if job.parent is not None:
        place = os.fspath(job.parent)
        parent = checkpoints.read(place, checkpoints.read_parent(place, job))[1]
    outcome, content = packed(job, *run_job(factory, job, parent))
    checkpoints.write(job.checkpoint, content, outcome.seconds_training)
    return replace(outcome, handle=job.checkpoint)


def packed(job: Job, outcome: Outcome, state: dict[str, Any] | None) -> tuple[Outcome, bytes]:
    """Return an outcome with the digest of its file, and the content of that file."""
    content = checkpoints.to_bytes(outcome.metrics, outcome.seconds_training, state, job.by)
    return replace(outcome, digest=digests.of(content), size=len(content)), content


def load_stored_outcome(job: Job, digest: str | None = None) -> Outcome | None:
    """Return the outcome of ``job`` if it is already stored completely; None if it must be trained.

    Args:
        job: the training.
        digest: of the file, as it was written. Default: what the file says itself decides.

    Returns:
        The outcome, or None.
    """
    with contextlib.suppress(RequestError):
        content = storage.read(job.checkpoint)
        if digests.matches(content, digest) if digest is not None else seals.read(content) == job.by:
            metrics, _, seconds = checkpoints.read(job.checkpoint, content)
            found = (digest or digests.of(content), len(content))
            return Outcome(job.member, metrics, seconds, job.checkpoint, job.generation, *found)
    return None
