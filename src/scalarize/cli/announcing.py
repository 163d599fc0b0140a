"""The first lines of ``train``, ``search`` and ``compare``: what is trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scalarize.cli import say
from scalarize.cli.parameters import as_options

if TYPE_CHECKING:
    from scalarize.runs.build import Loader
    from scalarize.runs.request import WorkloadRequest


def announce(request: WorkloadRequest, loader: Loader) -> None:
    """Say where a workload's data come from, or what was understood of a user's own table."""
    workload = loader.workload(request)
    if workload.table is None:
        say(workload.provenance)
        return
    from scalarize.workloads.table.words import first_lines

    for line in first_lines(workload.table, request.recipe(workload).data):
        say(as_options(line))
