"""scalarize: find, replay and compare task weights for multi-task and multi-domain learning.

Names are imported when first used, so that ``scalarize --help`` answers at once.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scalarize import integrations, methods, search
    from scalarize.balancer.balancer import Balancer
    from scalarize.learners.supervised import Learner
    from scalarize.runs.advise_learner import advise
    from scalarize.runs.estimator import MultiTaskModel
    from scalarize.runs.load import load
    from scalarize.tasks.task import Domain, Task
    from scalarize.weights import simplex
    from scalarize.weights.policy import Policy

__version__ = "0.2.0"

__all__ = [
    "Balancer",
    "Domain",
    "Learner",
    "MultiTaskModel",
    "Policy",
    "Task",
    "advise",
    "integrations",
    "load",
    "methods",
    "search",
    "simplex",
]

# Public name -> the module that holds it.
_HOMES = {
    "Balancer": "scalarize.balancer.balancer",
    "Domain": "scalarize.tasks.task",
    "Learner": "scalarize.learners.supervised",
    "MultiTaskModel": "scalarize.runs.estimator",
    "Policy": "scalarize.weights.policy",
    "Task": "scalarize.tasks.task",
    "advise": "scalarize.runs.advise_learner",
    "load": "scalarize.runs.load",
}
_MODULES = {
    "integrations": "scalarize.integrations",
    "methods": "scalarize.methods",
    "search": "scalarize.search",
    "simplex": "scalarize.weights.simplex",
}

if not TYPE_CHECKING:  # a type checker would take every misspelt name for one that this answers

    def __getattr__(name: str) -> object:
        if name in _HOMES:
            return getattr(importlib.import_module(_HOMES[name]), name)
        if name in _MODULES:
            return importlib.import_module(_MODULES[name])
        raise AttributeError(f"module 'scalarize' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
