"""States of learners: copies that share no memory with a learner."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor


def copy_state(state: Any) -> Any:
    """Make a deep copy whose tensors share nothing with the original.

    Args:
        state: tensors, plain values, and mappings, lists and tuples of them.

    Returns:
        The copy; tensors are detached.
    """
    if isinstance(state, Tensor):
        return state.detach().clone()
    if isinstance(state, Mapping):
        return {k: copy_state(v) for k, v in state.items()}
    if isinstance(state, list | tuple):
        return type(state)(copy_state(v) for v in state)
    return state
