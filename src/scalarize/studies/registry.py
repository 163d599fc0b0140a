"""Targets by name, ``PAPER/TARGET``. A paper is known by being a folder here that defines ``TARGETS``."""

from __future__ import annotations

import functools
import importlib
import pkgutil

from scalarize.studies.study import Target
from scalarize.utils.errors import unknown_name_error


@functools.cache
def papers() -> dict[str, tuple[Target, ...]]:
    """Paper -> its targets, in the paper's order."""
    package = importlib.import_module("scalarize.studies")
    found = {}
    for info in pkgutil.iter_modules(package.__path__):
        if info.ispkg:
            module = importlib.import_module(f"{package.__name__}.{info.name}")
            found[info.name] = tuple(module.TARGETS)
    return found


def get(name: str) -> tuple[Target, ...]:
    """One target, or all of a paper. Raises RequestError naming the nearest."""
    paper, slash, _ = name.partition("/")
    if paper not in papers():
        raise unknown_name_error("paper", paper, papers())
    own = {t.name: t for t in papers()[paper]}
    if not slash:
        return tuple(own.values())
    if name not in own:
        raise unknown_name_error("target", name, own)
    return (own[name],)
