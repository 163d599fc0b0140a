"""Gradients of weighted sums of losses by torch alone, from a fresh forward: what the Balancer must have written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor


def gradients(forward: Callable[[], Mapping[str, Tensor]], params: Sequence[Tensor], weights: Sequence[float]):
    """Of ``sum_t weights[t] * losses[t]``, by each of ``params``; None where no loss depends on it."""
    if not params:
        return ()
    losses = [x for x in forward().values() if x is not None]
    total = sum(float(w) * x.double() for w, x in zip(weights, losses, strict=True))
    return torch.autograd.grad(total, list(params), allow_unused=True)


def assert_right(forward, shared, heads, used, rtol=1e-4, head_weights=None):
    """``.grad`` of shared parameters is that of the weights that were told; of heads, their tasks' own."""
    own = [1.0] * len(used.tasks) if head_weights is None else head_weights
    for params, weights in ((list(shared), used.weights), (list(heads), own)):
        for p, wanted in zip(params, gradients(forward, params, weights), strict=True):
            if wanted is None:
                assert p.grad is None or p.grad.abs().sum() == 0
                continue
            got, wanted = (x.to_dense() if x.is_sparse else x for x in (p.grad, wanted))
            torch.testing.assert_close(got, wanted.to(got.dtype), rtol=rtol, atol=1e-6)
