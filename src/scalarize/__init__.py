"""scalarize: find, replay and compare task weights for multi-task and multi-domain learning.

Names are imported when first used, so that ``scalarize --help`` answers at once.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "Balancer": "scalarize.balancer.balancer",
    "Domain": "scalarize.tasks.task",
    "Learner": "scalarize.learners.supervised",
    "Policy": "scalarize.weights.policy",
    "Task": "scalarize.tasks.task",
}
_MODULES = {
    "integrations": "scalarize.integrations",
    "methods": "scalarize.methods",
    "search": "scalarize.search",
    "simplex": "scalarize.weights.simplex",
}
__all__ = [*_HOMES, *_MODULES]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name in _MODULES:
        return importlib.import_module(_MODULES[name])
    raise AttributeError(f"module 'scalarize' has no attribute {name!r}")
