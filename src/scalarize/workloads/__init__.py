"""Workloads by name. A workload is found if a file of this folder lists it in its tuple ``WORKLOADS``."""

from __future__ import annotations

import functools
import importlib
import os
import pkgutil
from pathlib import Path

from scalarize.utils.errors import unknown_name_error
from scalarize.workloads.base import Workload

__all__ = ["Workload", "data_root", "get", "names"]


@functools.cache
def _all() -> dict[str, Workload]:
    found: dict[str, Workload] = {}
    for info in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{info.name}")
        found.update({w.name: w for w in getattr(module, "WORKLOADS", ())})
    return found


def names() -> list[str]:
    """Return the names of all workloads, sorted."""
    return sorted(_all())


def get(name: str) -> Workload:
    """Return the workload of a name. Raises RequestError that suggests the nearest one."""
    if name not in _all():
        raise unknown_name_error("workload", name, _all())
    return _all()[name]


def data_root(given: str | Path | None = None) -> Path:
    """Return the folder of the data sets: ``given``, else SCALARIZE_DATA, else the user's cache directory."""
    if given:
        return Path(given)
    if os.environ.get("SCALARIZE_DATA"):
        return Path(os.environ["SCALARIZE_DATA"])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "scalarize"
