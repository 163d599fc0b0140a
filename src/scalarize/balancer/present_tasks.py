"""A method's state when only some of the tasks are in the batch."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

State = dict[str, Tensor]


def _index(index: Tensor, axes: int) -> tuple[Tensor, ...]:
    """Open-mesh indices that pick the tasks ``index`` on each of the first ``axes`` axes."""
    return tuple(index.reshape([-1 if k == axis else 1 for k in range(axes)]) for axis in range(axes))


def select(state: State, task_axes: Mapping[str, int], index: Tensor) -> State:
    """Return the state of the tasks ``index`` alone; differentiable in learned entries."""
    return {k: v[_index(index.to(v.device), task_axes[k])] if task_axes.get(k) else v for k, v in state.items()}


def merge(state: State, part: State, task_axes: Mapping[str, int], index: Tensor) -> State:
    """Return ``state`` with the entries of the tasks ``index`` replaced from ``part``; other tasks keep theirs."""
    merged = dict(state)
    for key, value in part.items():
        if task_axes.get(key) and key in state:
            axes = task_axes[key]
            # Tensors that a method sizes at its first step start with one column.
            whole = state[key].detach().expand(*state[key].shape[:axes], *value.shape[axes:]).clone()
            whole[_index(index.to(whole.device), task_axes[key])] = value.detach().to(whole)
            merged[key] = whole
        else:
            merged[key] = value
    return merged


def spread(values: Tensor, n_tasks: int, index: Tensor) -> Tensor:
    """Spread ``values`` of the tasks ``index`` from axes of length T' to axes of all tasks; NaN for the others."""
    whole = torch.full([n_tasks] * values.ndim, float("nan"), dtype=values.dtype, device=values.device)
    whole[_index(index.to(values.device), values.ndim)] = values
    return whole
