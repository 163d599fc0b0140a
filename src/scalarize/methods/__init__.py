"""Where the task weights come from: one small file a method, in three families."""

from collections.abc import Sequence

from scalarize.methods.adapters import from_function, from_torchjd
from scalarize.methods.base import Method
from scalarize.methods.evidence import CombinedGradient, CombinedLoss, Evidence, Needs, State
from scalarize.methods.registry import create, get, names, register
from scalarize.weights.policy import Policy


def constant(weights: Sequence[float]) -> Method:
    """Given weights (T,), normalised to sum 1, at every step."""
    return create("fixed", weights=list(weights))


def replay(policy: Policy) -> Method:
    """The weights and scale of ``policy``, epoch by epoch."""
    return create("policy", policy=policy)


__all__ = [
    "CombinedGradient",
    "CombinedLoss",
    "Evidence",
    "Method",
    "Needs",
    "State",
    "constant",
    "create",
    "from_function",
    "from_torchjd",
    "get",
    "names",
    "register",
    "replay",
]
