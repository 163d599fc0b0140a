"""Backward passes that end in ``.grad``: of a weighted sum of losses, and of what a representation is to receive."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from scalarize.balancer import autograd, hooks
from scalarize.balancer.distributed import Processes
from scalarize.balancer.losses import Losses
from scalarize.balancer.reachability import refuse_reentrant


def weighted_sum(step: Losses, weights: Tensor, shared: Sequence[Tensor], heads: str, processes: Processes) -> None:
    """One backward of ``sum_t weights[t] * losses[t]``, summed over processes.

    heads: what parameters that are not ``shared`` receive: ``"weighted"`` the same sum's gradient, ``"own"`` their
    task's own, by a short backward more, ``"none"`` nothing. Without ``shared`` there is nothing to tell apart.
    """
    ones = torch.ones_like(step.values, dtype=torch.float64) if step.scales is None else step.scales
    by_weight = autograd.weighted(step.losses, weights.to(ones) * ones)
    same = heads == "weighted" or (heads == "own" and not shared)
    if is_plain(shared, heads, processes):
        torch.autograd.backward(*by_weight)
        return
    own: dict[int, Tensor] = {}
    if heads != "none":
        found = autograd.reach(step.losses, without=shared)
        refuse_reentrant(found)
        own = found.leaves()
    outer, inner = list(own.values()), trained(shared)
    if same:
        grads = _grad(*by_weight, [*outer, *inner], keep=False)
    else:
        grads = _grad(*autograd.weighted(step.losses, ones), outer, keep=True) if outer else []
        grads += _grad(*by_weight, inner, keep=False)
    targets = [*outer, *inner]
    autograd.accumulate(targets, processes.sum_gradients(targets, grads))


def is_plain(shared: Sequence[Tensor], heads: str, processes: Processes) -> bool:
    """Whether a weighted sum needs nothing but torch's own backward."""
    return (heads == "weighted" or (heads == "own" and not shared)) and not processes.several


def through(representation: Sequence[Tensor], grads: autograd.Grads, processes: Processes) -> None:
    """Hand each tensor of the representation its gradient, and its encoder, in one backward, what follows from it."""
    pairs = [(z, g.to(z.dtype)) for z, g in zip(representation, grads, strict=True) if g is not None]
    roots, by = [z for z, _ in pairs], [g for _, g in pairs]
    if not processes.several:
        torch.autograd.backward(roots, by)
        return
    found = autograd.reach(roots)
    refuse_reentrant(found)
    params = list(found.leaves().values())
    autograd.accumulate(params, processes.sum_gradients(params, _grad(roots, by, params, keep=False)))


def trained(params: Sequence[Tensor]) -> list[Tensor]:
    """Those that require a gradient."""
    return [p for p in params if p.requires_grad]


def norms(params: Sequence[Tensor]) -> Tensor | None:
    """The norms of what is in ``.grad``; None where nothing is."""
    grads = [p.grad for p in params if p.grad is not None]
    return torch.stack(torch._foreach_norm(grads)) if grads else None


def _grad(roots: list[Tensor], by: list[Tensor], inputs: Sequence[Tensor], keep: bool) -> autograd.Grads:
    if not roots or not inputs:
        return [None] * len(inputs)
    with hooks.silenced(inputs):  # they fire when the sum over processes is written
        return list(torch.autograd.grad(roots, inputs, by, retain_graph=keep, allow_unused=True))
