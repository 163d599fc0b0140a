"""Targets by name, ``PAPER/TARGET``, and papers' results pages.

A paper is known by being a folder here that defines ``TARGETS``; it may have a ``results_page.py``.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import pkgutil
from typing import TYPE_CHECKING

from scalarize.studies.study import Target
from scalarize.utils.errors import RequestError, unknown_name_error

if TYPE_CHECKING:
    from scalarize.studies.results_page import ResultsPage

PACKAGE = "scalarize.studies"


@functools.cache
def papers() -> dict[str, tuple[Target, ...]]:
    """Paper -> its targets, in the paper's order."""
    package = importlib.import_module(PACKAGE)
    found = {}
    for info in pkgutil.iter_modules(package.__path__):
        if info.ispkg:
            module = importlib.import_module(f"{package.__name__}.{info.name}")
            found[info.name] = tuple(module.TARGETS)
    return found


def get(name: str) -> tuple[Target, ...]:
    """One target, or all of a paper.

    Raises:
        RequestError: there is no such paper or target; the nearest is named.
    """
    paper = paper_of(name)
    own = {t.name: t for t in papers()[paper]}
    if name == paper:
        return tuple(own.values())
    if name not in own:
        raise unknown_name_error("target", name, own)
    return (own[name],)


def paper_of(name: str) -> str:
    """The paper of ``PAPER`` or ``PAPER/TARGET``.

    Raises:
        RequestError: there is no such paper; the nearest is named.
    """
    paper = name.partition("/")[0]
    if paper not in papers():
        raise unknown_name_error("paper", paper, papers())
    return paper


def page(paper: str) -> ResultsPage:
    """The results page of a paper.

    Raises:
        RequestError: there is no such paper, or it has no page.
    """
    module = f"{PACKAGE}.{paper_of(paper)}.results_page"
    if importlib.util.find_spec(module) is None:
        raise RequestError(f"{paper} has no results page")
    found: ResultsPage = importlib.import_module(module).PAGE
    return found
