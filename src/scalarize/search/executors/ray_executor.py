"""Members trained by Ray actors, on one machine or many; the only module, with ``cluster_start``, that imports ray."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from scalarize.search.executors import checkpoints, ray_start, storage
from scalarize.search.executors.base import Job, Jobs, LearnerFactory, Outcome, run_and_store, run_job
from scalarize.utils.errors import RequestError, RunError

Blob = NDArray[np.uint8]
ATTEMPTS = 3  # trainings of one member that may end with their worker, before the search gives up
PATIENCE = 300.0  # seconds without any worker, before the search gives up; a cluster that grows needs minutes


@dataclass(frozen=True)
class _Stored:
    """Where an outcome's state lies: in the object store, and in the checkpoint should that copy be lost."""

    reference: Any
    path: str


@dataclass
class _Todo:
    """What is to be trained: jobs whose worker was lost ``again``, then the ``coming`` ones."""

    coming: Iterator[Job | None]
    again: deque[Job] = field(default_factory=deque)

    def take(self) -> Job | None:
        """The next job; None where there is none now."""
        return self.again.popleft() if self.again else next(self.coming, None)


class _Worker:
    """One actor: it has the factory, and trains one job at a time."""

    def __init__(self, factory: LearnerFactory, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        self.factory = factory

    def ready(self) -> None:
        """Answers once the actor runs."""

    def train(self, job: Job, parent: Blob | None) -> tuple[Outcome, Blob]:
        """The outcome, and the content of its checkpoint."""
        state = None if parent is None else checkpoints.read("the parent's checkpoint", parent.tobytes())[1]
        outcome, state = run_job(self.factory, job, state)
        content = checkpoints.to_bytes(outcome.metrics, outcome.seconds_training, state)
        return outcome, np.frombuffer(content, dtype=np.uint8)

    def train_and_store(self, job: Job) -> tuple[Outcome, None]:
        """The outcome; its checkpoint is written here, where all nodes see it."""
        return run_and_store(self.factory, job), None


class RayExecutor:
    """Runs jobs on Ray actors, as many side by side as there are workers; results are those of one process.

    workers: how many (default: what the cluster, or this machine's cores, have room for). address: of a running
    cluster (``auto``, ``host:port``, ``ray://...``); default: one on this machine, started with the first job and
    stopped by ``close``. threads_per_member: of torch, and cores reserved. gpus_per_member: may be a fraction.
    through: ``objects`` hands states on through Ray's object store and has the driver write checkpoints;
    ``directory`` has workers write and read them, in a folder that all nodes see or behind a URL (the search's
    ``checkpoints``). dashboard: Ray's, off.

    A worker that dies, with its node or alone, is replaced, and its job trained again from its checkpointed parent.
    Raises RequestError for impossible numbers; ``run`` raises what a learner raised, and RunError where a member ends
    its worker ``ATTEMPTS`` times or no worker can be had for ``PATIENCE`` seconds.
    """

    def __init__(
        self,
        factory: LearnerFactory,
        workers: int | None = None,
        address: str | None = None,
        threads_per_member: int = 1,
        gpus_per_member: float = 0.0,
        through: Literal["objects", "directory"] = "objects",
        dashboard: bool = False,
    ) -> None:
        if (workers is not None and workers < 1) or threads_per_member < 1 or not gpus_per_member >= 0:
            raise RequestError(
                "workers and threads per member must be at least 1 and GPUs per member at least 0, got "
                f"{workers}, {threads_per_member} and {gpus_per_member}"
            )
        if through not in ("objects", "directory"):
            raise RequestError(f"unknown way {through!r} for checkpoints: choose objects or directory")
        ray_start.load()
        self.factory, self.workers, self.address = factory, workers, address
        self.threads, self.gpus, self.through, self.dashboard = threads_per_member, gpus_per_member, through, dashboard
        self._factory: Any = None  # in the object store
        self._owns_ray = False
        self._idle: list[Any] = []
        self._busy: dict[Any, tuple[Any, Job | None, Any]] = {}  # reference: worker, job (None: it starts), blob

    def run(self, jobs: Jobs) -> Generator[Outcome, None, None]:
        """Outcomes as they come. Closing the generator ends the trainings under way."""
        left = len(jobs)
        if not left:
            return
        self._start()
        todo = _Todo(iter(jobs))
        ended: Counter[tuple[int, int]] = Counter()  # by (generation, member): workers that ended in its training
        try:
            while left:
                self._fill(todo)
                reference = self._next()
                worker, job, blob = self._busy.pop(reference)
                try:
                    outcome = _get(reference)
                    self._idle.append(worker)
                    self._fill(todo)  # the worker goes on before the driver turns to the checkpoint
                    if job is None:
                        ended.pop(_STARTING, None)
                        continue
                    done = self._store(outcome, job, blob)
                except _Ended as error:
                    self._dismiss(worker)
                    _count(ended, job, error)
                    if job is not None:
                        todo.again.append(_from_disk(job))
                    continue
                left -= 1
                yield done
        finally:
            for worker, _, _ in self._busy.values():
                self._dismiss(worker)
            self._busy.clear()

    def close(self) -> None:
        """Let the workers go, and Ray too if it was started here."""
        ray = ray_start.load()
        if ray.is_initialized():
            for worker in self._idle:
                ray.kill(worker)
            if self._owns_ray:
                ray.shutdown()
        self._idle, self._factory, self._owns_ray = [], None, False

    def _start(self) -> None:
        ray = ray_start.load()
        if self._factory is not None:
            return
        cpus = (self.workers or max((os.cpu_count() or 1) // self.threads, 1)) * self.threads
        self._owns_ray = ray_start.start(self.address, cpus, dashboard=self.dashboard)
        self._factory = ray.put(self.factory)
        if self.workers is None:
            have = ray.cluster_resources()
            room = have.get("CPU", 0.0) / self.threads
            if self.gpus:
                room = min(room, have.get("GPU", 0.0) / self.gpus)
            self.workers = max(int(room), 1)

    def _fill(self, todo: _Todo) -> None:
        """Hand out jobs, and hire where workers are missing."""
        while self._idle and (job := todo.take()) is not None:
            self._submit(job, self._idle.pop(0))
        ray = ray_start.load()
        for _ in range((self.workers or 1) - len(self._idle) - len(self._busy)):
            kind = ray.remote(_Worker).options(
                num_cpus=self.threads, num_gpus=self.gpus, max_restarts=0, scheduling_strategy="SPREAD"
            )
            worker = kind.remote(self._factory, self.threads)
            self._busy[worker.ready.remote()] = (worker, None, None)

    def _next(self) -> Any:
        """The reference of a worker that is done with its job, has started, or has ended."""
        ray = ray_start.load()
        while True:
            finished, _ = ray.wait(list(self._busy), num_returns=1, timeout=PATIENCE)
            if finished:
                return finished[0]
            if all(job is None for _, job, _ in self._busy.values()):
                need = f"{self.threads} CPUs" + (f" and {self.gpus:g} GPUs" if self.gpus else "")
                raise RunError(f"no worker with {need} could be had for {PATIENCE:.0f} s")

    def _submit(self, job: Job, worker: Any) -> None:
        if self.through == "directory":
            outcome, blob = worker.train_and_store.options(num_returns=2).remote(job)
        else:
            parent = job.parent
            if isinstance(parent, _Stored):
                parent = parent.reference
            elif parent is not None:
                parent = np.frombuffer(storage.read(parent), dtype=np.uint8)
            outcome, blob = worker.train.options(num_returns=2).remote(replace(job, parent=None), parent)
        self._busy[outcome] = (worker, job, blob)

    def _store(self, outcome: Outcome, job: Job, blob: Any) -> Outcome:
        """The outcome once its checkpoint is on disk."""
        if self.through == "directory":
            return outcome
        storage.write(job.checkpoint, _get(blob).data)
        return replace(outcome, handle=_Stored(blob, job.checkpoint) if job.keep else job.checkpoint)

    def _dismiss(self, worker: Any) -> None:
        if worker in self._idle:
            self._idle.remove(worker)
        ray_start.load().kill(worker)


class _Ended(Exception):
    """A worker, or the object it left, is gone."""


def _get(reference: Any) -> Any:
    """What a worker returned. Raises what its learner raised, or _Ended."""
    errors = ray_start.load().exceptions
    try:
        return ray_start.load().get(reference)
    except errors.RayTaskError as error:
        if isinstance(error.cause, errors.RayError):  # the parent's copy in the object store is lost
            raise _Ended(str(error.cause)) from None
        raise error.cause from None
    except errors.RayError as error:
        raise _Ended(str(error)) from None


_STARTING = (-1, -1)


def _count(ended: Counter[tuple[int, int]], job: Job | None, error: _Ended) -> None:
    key = _STARTING if job is None else (job.generation, job.member)
    ended[key] += 1
    if ended[key] == ATTEMPTS:
        what = "workers end as they start" if job is None else f"member {job.member} of generation {job.generation}"
        reason = str(error).strip().splitlines()[-1] if str(error).strip() else "no reason given"
        raise RunError(f"{what}: {ATTEMPTS} workers were lost ({reason}); is there enough memory?")


def _from_disk(job: Job) -> Job:
    """The job with its parent taken from disk: the copy in the object store may have gone with its node."""
    return replace(job, parent=job.parent.path) if isinstance(job.parent, _Stored) else job
