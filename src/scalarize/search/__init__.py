"""Search for task weights: it trains populations of learners and returns a policy.

The package can be called: ``scalarize.search(learner_factory, epochs=12)``, see :func:`scalarize.search.entry.search`.
Algorithms decide (``algorithms/``, pure ask and tell), executors train (``executors/``), and the driver records.
"""

from __future__ import annotations

import inspect
import sys
import types

from scalarize.search.algorithms.base import Algorithm, Generation, GenerationResult, Setting
from scalarize.search.algorithms.registry import create, get, names, register
from scalarize.search.driver import run_search
from scalarize.search.entry import search
from scalarize.search.executors.base import Executor, Job, LearnerFactory, Outcome
from scalarize.search.executors.local import LocalExecutor
from scalarize.search.learner_check import check
from scalarize.search.learner_report import LearnerReport
from scalarize.search.progress import Progress
from scalarize.search.result import SearchResult
from scalarize.search.sampling import Spread
from scalarize.search.space import Range, Space

__all__ = [
    "Algorithm",
    "Executor",
    "Generation",
    "GenerationResult",
    "Job",
    "LearnerFactory",
    "LearnerReport",
    "LocalExecutor",
    "Outcome",
    "Progress",
    "Range",
    "SearchResult",
    "Setting",
    "Space",
    "Spread",
    "check",
    "create",
    "get",
    "names",
    "register",
    "run_search",
    "search",
]


def __dir__() -> list[str]:
    return __all__


class _Callable(types.ModuleType):
    __call__ = staticmethod(search)
    __signature__ = inspect.signature(search)


sys.modules[__name__].__class__ = _Callable  # so that scalarize.search is both the package and the function
