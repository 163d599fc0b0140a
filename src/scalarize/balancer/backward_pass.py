"""Backward passes that end in ``.grad``: of a weighted sum of losses, and of a representation's gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from scalarize.balancer import autograd
from scalarize.balancer.compiled import protect
from scalarize.balancer.distributed import Processes
from scalarize.balancer.losses import Losses
from scalarize.balancer.reachability import refuse_hidden
from scalarize.balancer.torch_errors import explained


def weighted_sum(step: Losses, weights: Tensor, shared: Sequence[Tensor], heads: str, processes: Processes) -> None:
    """Run one backward of ``sum_t weights[t] * losses[t]``, summed over processes.

    heads: what parameters that are not ``shared`` receive: ``"weighted"`` the same sum's gradient, ``"own"`` their
    task's own, by a short backward more, ``"none"`` nothing. Without ``shared`` there is nothing to tell apart.
    """
    ones = torch.ones_like(step.values, dtype=torch.float64) if step.scales is None else step.scales
    by_weight = autograd.weighted(step.losses, weights.to(ones) * ones)
    same = heads == "weighted" or (heads == "own" and not shared)
    if is_plain(shared, heads, processes):
        with explained(single=False):
            torch.autograd.backward(*by_weight)
        return
    inner = trained(processes.sharded.copies(shared))
    outer: list[Tensor] = []
    functions: list[Any] = []
    if heads != "none":  # else the graph was looked at for the Gramian
        found = autograd.reach(step.losses, without=inner)
        refuse_hidden(found)
        outer, functions = list(found.leaves().values()), found.functions
        for node in () if same else functions:
            protect(node)
        processes.try_out(() if same else functions)
    pending: tuple[list[Tensor], autograd.Grads] = ([], [])
    with processes.hidden.refused(() if processes.sharded else functions):  # fully_shard writes within
        if heads == "own" and not same:
            pending = processes.backward(*autograd.weighted(step.losses, ones), outer, keep=True, write=False)
        combined = processes.backward(*by_weight, [*outer, *inner] if same else inner, write=False)
    params, grads = [*combined[0], *pending[0]], [*combined[1], *pending[1]]
    autograd.accumulate(params, grads, by_hand=processes.by_hand)


def is_plain(shared: Sequence[Tensor], heads: str, processes: Processes) -> bool:
    """Return True if a weighted sum needs nothing but torch's own backward."""
    return (heads == "weighted" or (heads == "own" and not shared)) and not processes.by_hand


def through(representation: Sequence[Tensor], grads: autograd.Grads, processes: Processes) -> None:
    """Backpropagate the gradients of the representation's tensors through the encoder, in one backward."""
    pairs = [(z, g.to(z.dtype)) for z, g in zip(representation, grads, strict=True) if g is not None]
    roots, by = [z for z, _ in pairs], [g for _, g in pairs]
    if not processes.by_hand:
        with explained(single=False):
            torch.autograd.backward(roots, by)
        return
    found = autograd.reach(roots)
    refuse_hidden(found)
    with processes.hidden.refused(() if processes.sharded else found.functions):
        pending = processes.backward(roots, by, list(found.leaves().values()), write=False)
    autograd.accumulate(*pending, by_hand=True)


def trained(params: Sequence[Tensor]) -> list[Tensor]:
    """Return the tensors that require a gradient."""
    return [p for p in params if p.requires_grad]
