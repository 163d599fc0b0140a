"""Workers as they are asked for: how many, on which devices, on this machine or on a cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scalarize.runs.build import Loader
from scalarize.runs.request import WorkloadRequest
from scalarize.runs.workers import PRELOAD, sharing
from scalarize.utils.errors import RequestError
from scalarize.utils.workers import machine
from scalarize.utils.workers.crew import Crew
from scalarize.utils.workers.processes import ABLE

WORKER = 200_000_000  # bytes of a worker beside what it shares, at least
DEFAULT = "SCALARIZE_WORKERS"  # the environment variable with the number of workers if none is asked for


@dataclass(frozen=True)
class Workers:
    """Workers for a set of trainings.

    Args:
        count: how many; 1 is this process. None: one a device if the trainings are on devices that torch counts, else
            all cores divided by the threads of a training, or what the environment variable SCALARIZE_WORKERS says.
        devices: numbers of the accelerators to use; None: all.
        share: of a device that a training takes, may be a fraction; None or 0: a whole one, on a cluster none.
        address: of a Ray cluster, ``local`` for one on this machine; None: processes of this machine without Ray.
    """

    count: int | None = None
    devices: tuple[int, ...] | None = None
    share: float | None = None
    address: str | None = None

    def check(self, device: str) -> None:
        """Check that what is asked for fits the device of the trainings.

        Args:
            device: as the trainings name it.

        Raises:
            RequestError: numbers or shares of accelerators are for trainings on the CPU.
        """
        asked = {"`devices`": self.devices, "`gpus_per_member`": self.share if self.address is None else None}
        named = [name for name, value in asked.items() if value]
        if named and device.partition(":")[0] == "cpu":
            raise RequestError(f"{named[0]}: for trainings on accelerators: name one with `device`, such as cuda")

    def places(self, device: str, threads: int) -> list[dict[str, str]]:
        """Divide this machine.

        Args:
            device: of the trainings, as they name it.
            threads: of a training.

        Returns:
            For each worker its environment variables; see :func:`scalarize.utils.workers.machine.places`.

        Raises:
            RequestError: a number is out of range.
        """
        self.check(device)
        count, on_cpu = self.count, device.partition(":")[0] == "cpu"
        devices = None if on_cpu or ":" in device else self.devices or tuple(_seen())
        if count is None and not devices:
            count = _default() or (None if on_cpu and ABLE else 1)
        found = machine.places(count, threads, devices, self.share or 1.0)
        return found if len(found) > 1 or self.devices else [{}]  # one worker is this process


def crew(
    workers: Workers | None,
    requests: Iterable[WorkloadRequest],
    loader: Loader,
    folder: Path,
    listener: Callable[[Any, str, Any], None],
    shares: Iterable[tuple[WorkloadRequest, float]] = (),
    threads: int | None = None,
) -> Crew:
    """Make a crew for some trainings.

    Args:
        workers: as they are asked for; None: this process.
        requests: the trainings.
        loader: of the command.
        folder: a place for what the workers share while they run; it is made anew.
        listener: receives what jobs emit.
        shares: problems of which a share is held out, with that share.
        threads: of a training, None for the recipes' number.

    Returns:
        The crew; whoever makes it closes it.

    Raises:
        RequestError: a number is out of range.
    """
    asked = list(requests)
    threads = threads or max((sharing.threads(request, loader) for request in asked), default=1)
    device = next((request.device for request in asked if request.device != "cpu"), "cpu")
    if workers is not None and workers.address is not None:
        from scalarize.search.executors.ray_processes import RayProcesses

        actors = RayProcesses(workers.address, workers.count, threads, workers.share or 0.0)
        return Crew([{}] * actors.size, listener=listener, processes=actors)
    places: list[dict[str, str]] = [{}] if workers is None else workers.places(device, threads)

    def packed() -> bytes:
        content = sharing.pack(loader, asked, shares, folder)
        if (line := short_of_memory(len(places), bool(content), machine.memory())) is not None:
            listener(None, "say", line)
        return content

    return Crew(places, PRELOAD, loader, packed, listener)


def short_of_memory(count: int, shared: bool, memory: tuple[int, int] | None) -> str | None:
    """Say in a line that the memory will hardly suffice, if that is to be seen before workers begin.

    Args:
        count: of the workers.
        shared: their data are in memory once; else each reads its own.
        memory: bytes that are free, and those that this process holds; None if that is not known.
    """
    if memory is None:
        return None
    free, held = memory
    need = count * (WORKER if shared else held)
    if need <= free:
        return None
    own = "" if shared else ", as their data cannot be shared"
    return (
        f"{count} workers need about {need / 1e9:.1f} GB{own}, and {free / 1e9:.1f} GB are free: choose fewer `workers`"
    )


def _seen() -> range:
    """Return the numbers of the accelerators here."""
    import torch

    return range(torch.cuda.device_count())


def _default() -> int | None:
    value = os.environ.get(DEFAULT)
    if not value:
        return None
    if not value.isdigit() or int(value) < 1:
        raise RequestError(f"{DEFAULT}={value}: must be a number of workers, at least 1")
    return int(value)
