"""Ray actors in the place of this machine's worker processes, for sets of jobs on a cluster.

What jobs write lies where all nodes see it, at the same path. An actor reads its data itself.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scalarize.search.executors import ray_start
from scalarize.utils.workers.job import Job, portable

PATIENCE = 300.0  # seconds without any actor; a cluster that grows needs minutes


@dataclass(eq=False)
class RayWorker:
    """An actor as :class:`scalarize.utils.workers.processes.Worker`."""

    actor: Any
    owner: RayProcesses
    surroundings: Mapping[str, str] = field(default_factory=dict)
    coordinates: bool = False
    process: int | None = None
    ready: bool = False
    entry: Any = None

    def send(self, kind: str, *content: Any) -> bool:
        """Give the actor a job; there is nothing else that it has to be told."""
        if kind == "job":
            self.owner.pending[self.actor.work.remote(content[0])] = self
        return True


class RayProcesses:
    """Actors on a cluster, begun, heard and ended as the processes of this machine are.

    Args:
        address: of the cluster, ``local`` for one on this machine that ends with it.
        count: of actors; None: as many as the cluster has room for.
        threads: of a training, and cores reserved.
        gpus: of a training, may be a fraction.

    Raises:
        RequestError: ray is not installed.
        RunError: the cluster does not answer.
    """

    def __init__(self, address: str, count: int | None, threads: int, gpus: float) -> None:
        self.address, self.threads, self.gpus = address, threads, gpus
        self.workers: list[RayWorker] = []
        self.pending: dict[Any, RayWorker] = {}
        self._owns_ray = False
        self.size = count or self._room()

    def warm(self) -> None:
        """Do nothing: actors begin when they are needed."""

    def _room(self) -> int:
        self._start(max((os.cpu_count() or 1) // self.threads, 1))
        have = ray_start.load().cluster_resources()
        room = have.get("CPU", 0.0) / self.threads
        return max(1, int(min(room, have.get("GPU", 0.0) / self.gpus) if self.gpus else room))

    def _start(self, workers: int) -> None:
        address = None if self.address == "local" else self.address
        self._owns_ray = ray_start.start(address, workers * self.threads) or self._owns_ray

    def begin(self, surroundings: Mapping[str, str], coordinates: bool = False) -> RayWorker:
        """Begin an actor."""
        self._start(self.size)
        ray = ray_start.load()
        kind = ray.remote(_Actor).options(
            num_cpus=self.threads, num_gpus=self.gpus, max_restarts=0, scheduling_strategy="SPREAD"
        )
        worker = RayWorker(kind.remote(os.getcwd()), self, surroundings, coordinates)
        self.workers.append(worker)
        self.pending[worker.actor.ready.remote()] = worker
        return worker

    def hear(self, timeout: float | None) -> list[tuple[RayWorker, Any]]:
        """Wait for messages, None for an actor that has died; see :class:`Processes`."""
        ray = ray_start.load()
        if not self.pending:
            time.sleep(timeout or 0)
            return []
        ended, _ = ray.wait(list(self.pending), num_returns=1, timeout=PATIENCE if timeout is None else timeout)
        heard: list[tuple[RayWorker, Any]] = []
        for reference in ended:
            worker = self.pending.pop(reference)
            try:
                heard += [(worker, message) for message in ray.get(reference)]
            except ray.exceptions.RayError:
                self.dismiss(worker)
                heard.append((worker, None))
        return heard

    def dismiss(self, worker: RayWorker) -> None:
        """End an actor."""
        if worker in self.workers:
            self.workers.remove(worker)
            self.pending = {reference: other for reference, other in self.pending.items() if other is not worker}
            ray_start.load().kill(worker.actor)

    def close(self) -> None:
        """End all actors, and Ray if it was started here."""
        with contextlib.suppress(Exception):  # the cluster may be gone
            for worker in list(self.workers):
                self.dismiss(worker)
        if self._owns_ray:
            ray_start.stop()
        self._owns_ray = False


class _Actor:
    """Works off one job at a time, and is the context of it."""

    here, setup = False, None

    def __init__(self, directory: str) -> None:
        with contextlib.suppress(OSError):  # relative paths mean what they mean to the driver, if that is here
            os.chdir(directory)
        self.kept: dict[Any, Any] = {}
        self.said: list[Any] = []

    def ready(self) -> list[Any]:
        """Return once the actor runs."""
        return [("ready",)]

    def emit(self, kind: str, content: Any) -> None:
        """Keep what the job says until it is over."""
        self.said.append(("event", kind, content))

    def work(self, job: Job) -> list[Any]:
        """Return what the job said, and what it returned or raised."""
        begun, value, error = time.perf_counter(), None, None
        try:
            value = job.call(self)
        except BaseException as raised:
            error = portable(raised)
        said, self.said = self.said, []
        return [*said, ("ended", value, error, time.perf_counter() - begun)]
