"""The data of a set of trainings, read once, for all the processes that train."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from scalarize.runs.build import Loader, prepare
from scalarize.runs.holdout import HoldoutFactory
from scalarize.runs.request import TrainRequest, WorkloadRequest
from scalarize.utils.errors import RequestError
from scalarize.utils.workers import machine, packing

_DATA = {"workload", "csv", "targets", "table", "data"}  # fields that name the data of a problem


def pack(
    loader: Loader,
    requests: Sequence[WorkloadRequest],
    shares: Iterable[tuple[WorkloadRequest, float]],
    folder: Path,
) -> bytes:
    """Pack the data that most of the trainings use, with large arrays in a file that all processes map.

    The loader's own arrays become views of the file, too, so that they are in memory once; nobody may be using them.

    Args:
        loader: of the command; it reads what it has not read yet.
        requests: the trainings.
        shares: problems of which a share is held out, with that share.
        folder: where the file lies; it is made anew.

    Returns:
        A pickle of a loader that has them; empty if they cannot travel, and each process has to read for itself.
    """
    by_data: dict[str, WorkloadRequest] = {}
    counted: Counter[str] = Counter()
    for request in requests:
        settings = {k: v for k, v in request.settings.items() if k.startswith("data.")}
        key = json.dumps([request.model_dump(include=_DATA), settings], default=str)
        by_data.setdefault(key, request)
        counted[key] += 1
    with contextlib.suppress(RequestError):  # said by the run that asks for it
        for key, _ in reversed(counted.most_common(loader.kept)):
            prepare(by_data[key].problem(), loader)
        for problem, share in shares:
            _ = HoldoutFactory(problem, share, loader=loader).prepared
        parted = {json.dumps([r.tasks, r.split]): r for r in requests if isinstance(r, TrainRequest) and r.split}
        for request in list(parted.values())[: loader.kept]:
            prepare(request, loader)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        packed = packing.pack(loader, folder / "arrays")
    except Exception:  # something in them is bound to this process, such as an open file
        return b""
    packed.move()
    loader.share(packing.unpack(packed.content))
    machine.release()
    return packed.content


def threads(request: WorkloadRequest, loader: Loader) -> int:
    """Return the threads of a training; 1 if its request is wrong, which is said when it is run."""
    with contextlib.suppress(RequestError):
        return request.recipe(loader.workload(request)).threads
    return 1


def epochs(request: WorkloadRequest, loader: Loader) -> int:
    """Return the length of a training in epochs; 1 if its request is wrong, which is said when it is run."""
    with contextlib.suppress(RequestError):
        return request.recipe(loader.workload(request)).epochs
    return 1
