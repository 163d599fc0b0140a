"""Null data sets made from ``rand-hie``: one outcome split into copies, each with labels of a random share of the rows.

The copies are one task, so no weights can gain anything but by luck, and an advice that finds a rule or a search better
than even weights is wrong.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from scalarize.runs.advise import AdviseRequest, advise
from scalarize.runs.build import Loader
from scalarize.runs.request import WorkloadRequest
from scalarize.tasks.samples import TensorTable
from scalarize.tasks.task import Data, Domain
from scalarize.workloads import Workload, get

COPIES = 4
SETTINGS = {"batch_size": 512}
EPOCHS = 6


class CopiesLoader(Loader):
    """A loader that makes the null data set of a number out of ``rand-hie``, whatever workload is asked for."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.made = dataclasses.replace(get("rand-hie"), load=lambda settings, root: copies(number, settings, root))

    def workload(self, request: WorkloadRequest) -> Workload:
        return self.made


def copies(number: int, settings: Mapping[str, Any], root: Path) -> Data:
    """One of the seven outcomes, in turns, as four tasks with labels of a quarter of the rows each."""
    whole = get("rand-hie").load(settings, root)
    task = whole.tasks[number % len(whole.tasks)]
    names = [f"copy-{k}" for k in range(COPIES)]
    tasks = [dataclasses.replace(task, name=name) for name in names]
    splits = {}
    for place, (split, source) in enumerate(whole.domains["all"].splits.items()):
        batch = source.batch(torch.arange(len(source)))
        drawn = torch.Generator().manual_seed(1000 * number + place)
        share = torch.randint(COPIES, (len(source),), generator=drawn)
        values = dict.fromkeys(names, batch.targets[task.name])
        groups = getattr(source, "groups", None)
        splits[split] = TensorTable(batch.inputs, values, groups, {n: share == k for k, n in enumerate(names)})
    return Data.multi_task(tasks, Domain("all", splits), **whole.info)


def advice(number: int, store: Path) -> dict[str, Any]:
    """The advice on a null data set, at the default budget; what ``store`` holds is read."""
    request = AdviseRequest(workload="rand-hie", epochs=EPOCHS, settings=SETTINGS)
    return advise(request, store / f"copies-{number}", "results/advise.py", True, loader=CopiesLoader(number))
