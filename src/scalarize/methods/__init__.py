"""Where the task weights come from: one small file a method, in three families."""

from scalarize.methods.base import CombinedGradient, CombinedLoss, Evidence, Method, Needs, State
from scalarize.methods.registry import create, get, names, register

__all__ = [
    "CombinedGradient",
    "CombinedLoss",
    "Evidence",
    "Method",
    "Needs",
    "State",
    "create",
    "get",
    "names",
    "register",
]
