"""scalarize: find, replay and compare task weights for multi-task and multi-domain learning.

Names are imported when first used, so that ``scalarize --help`` answers at once.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "Balancer": "scalarize.backward",
    "Domain": "scalarize.tasks",
    "Learner": "scalarize.learner",
    "Policy": "scalarize.policy",
    "Task": "scalarize.tasks",
}
_MODULES = ("methods", "search", "simplex")
__all__ = [*_HOMES, *_MODULES]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name in _MODULES:
        return importlib.import_module(f"scalarize.{name}")
    raise AttributeError(f"module 'scalarize' has no attribute {name!r}")
