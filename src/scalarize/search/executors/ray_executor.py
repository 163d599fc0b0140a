"""Training of members by Ray actors, on one machine or many. Only this module and ``ray_start`` import ray."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from scalarize.search.executors import checkpoints, ray_start, storage
from scalarize.search.executors.base import Job, Jobs, LearnerFactory, Outcome, packed, run_and_store, run_job
from scalarize.utils.errors import RequestError, RunError

Blob = NDArray[np.uint8]
ATTEMPTS = 3  # workers that one member may lose before the search gives up
PATIENCE = 300.0  # seconds without any worker, before the search gives up; a cluster that grows needs minutes


@dataclass(frozen=True)
class _Stored:
    """The place of an outcome's state: the object store, and the checkpoint in case that copy is lost."""

    reference: Any
    path: str


@dataclass
class _Todo:
    """The jobs that are left: first ``again``, whose worker was lost, then the ``coming`` ones."""

    coming: Iterator[Job | None]
    again: deque[Job] = field(default_factory=deque)

    def take(self) -> Job | None:
        """Return the next job; None if there is none now."""
        return self.again.popleft() if self.again else next(self.coming, None)


class _Worker:
    """An actor that has the factory and trains one job at a time."""

    def __init__(self, factory: LearnerFactory, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        self.factory = factory

    def ready(self) -> None:
        """Return once the actor runs."""

    def train(self, job: Job, parent: Blob | None) -> tuple[Outcome, Blob]:
        """Return the outcome and the content of its checkpoint."""
        state = None if parent is None else checkpoints.read("the parent's checkpoint", parent.tobytes())[1]
        outcome, content = packed(job, *run_job(self.factory, job, state))
        return outcome, np.frombuffer(content, dtype=np.uint8)

    def train_and_store(self, job: Job) -> tuple[Outcome, None]:
        """Return the outcome; its checkpoint is written here, to a place that all nodes see."""
        return run_and_store(self.factory, job), None


class RayExecutor:
    """Runs jobs on Ray actors, as many side by side as there are workers; results equal those of one process.

    A worker that dies is replaced, and its job is trained again from its parent's checkpoint. ``run`` raises the errors
    of a learner, and RunError if a member loses ``ATTEMPTS`` workers or no worker can be had for ``PATIENCE`` seconds.

    Args:
        factory: makes the learners.
        workers: number of workers. Default: as many as the cluster, or the cores of this machine, have room for.
        address: a running cluster (``auto``, ``host:port``, ``ray://...``). Default: one on this machine, started with
            the first job and stopped by ``close``.
        threads_per_member: threads of torch, and cores reserved. Default 1.
        gpus_per_member: may be a fraction. Default 0.
        through: ``objects`` passes states through Ray's object store and lets the driver write checkpoints;
            ``directory`` lets workers write and read them, where all nodes see them. Default ``objects``.
        dashboard: start Ray's dashboard. Default False.

    Raises:
        RequestError: a number is out of range, or ray is not installed.
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
        """Yield the outcomes as they come. Closing the generator ends the running trainings."""
        left = len(jobs)
        if not left:
            return
        self._start()
        todo = _Todo(iter(jobs))
        ended: Counter[tuple[int, int]] = Counter()  # lost workers by (generation, member)
        try:
            while left:
                self._fill(todo)
                reference = self._next()
                worker, job, blob = self._busy.pop(reference)
                try:
                    outcome = _get(reference)
                    self._idle.append(worker)
                    self._fill(todo)  # the worker continues before the driver writes the checkpoint
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
        """Release the workers, and stop Ray if it was started here."""
        for worker in self._idle if ray_start.load().is_initialized() else ():
            ray_start.load().kill(worker)
        if self._owns_ray:
            ray_start.stop()
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
        """Submit jobs to idle workers, and start workers that are missing."""
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
        """Return the reference of a worker that has finished its job, has started, or has died."""
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
            storage.check_shared(job.checkpoint)
            outcome, blob = worker.train_and_store.options(num_returns=2).remote(job)
        else:
            parent = job.parent
            if isinstance(parent, _Stored):
                parent = parent.reference
            elif parent is not None:
                parent = np.frombuffer(checkpoints.read_parent(parent, job), dtype=np.uint8)
            outcome, blob = worker.train.options(num_returns=2).remote(replace(job, parent=None), parent)
        self._busy[outcome] = (worker, job, blob)

    def _store(self, outcome: Outcome, job: Job, blob: Any) -> Outcome:
        """Return the outcome once its checkpoint is on disk."""
        if self.through == "directory":
            return outcome
        storage.write(job.checkpoint, _get(blob).data)
        return replace(outcome, handle=_Stored(blob, job.checkpoint) if job.keep else job.checkpoint)

    def _dismiss(self, worker: Any) -> None:
        if worker in self._idle:
            self._idle.remove(worker)
        ray_start.load().kill(worker)


class _Ended(Exception):
    """The death of a worker, or the loss of an object that it left."""


def _get(reference: Any) -> Any:
    """Return the result of a worker. Raises the error of its learner, or _Ended."""
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
    """Return the job with its parent on disk: the copy in the object store may be lost with its node."""
    return replace(job, parent=job.parent.path) if isinstance(job.parent, _Stored) else job
