"""The Gramian of the losses of single samples: one backward a task, for all samples together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import get_gradient_edge

from scalarize.balancer import hooks
from scalarize.balancer.gramian.outputs import Outputs
from scalarize.balancer.gramian.sample_gramian import Found, products_of
from scalarize.balancer.gramian.sample_layout import codes_of, layout
from scalarize.balancer.gramian.sample_pieces import SamplePiece, sample_piece
from scalarize.balancer.gramian.uses import find
from scalarize.balancer.rows import DOUBLE
from scalarize.balancer.torch_errors import explained
from scalarize.utils.errors import RequestError


def sample_gramian(losses: Tensor, params: Sequence[Tensor]) -> Tensor:
    """Return the inner products (B T, B T) of the gradients by ``params``, in their type, float32 at least.

    Parameters whose uses are not known, or whose layers' outputs do not hold each sample for itself, get one backward
    for each of the B T losses, of which only their gradients are made.

    Args:
        losses: (B, T), with a graph, which is kept.
        params: that require gradients, on one device.
    """
    n, n_tasks = losses.shape
    dtype = torch.float64 if any(p.dtype in DOUBLE for p in params) else torch.float32
    total = torch.zeros(n * n_tasks, n * n_tasks, dtype=torch.float64, device=losses.device)
    with explained(), hooks.silenced(params):
        refuse_batch_norm(losses)
        uses = find([losses], params)
        pieces = {id(p): [sample_piece(use) for use in uses[id(p)]] for p in params if uses[id(p)]}
        found = _gradients(losses, [x for xs in pieces.values() for x in xs if x is not None])
        left = []
        for p in params:
            if id(p) not in pieces:
                continue
            known = [found.get(x.node) if x is not None else None for x in pieces[id(p)]]
            part = None
            if all(known):
                of = [
                    Found(x, *k) for x, k in zip(pieces[id(p)], known, strict=True) if x is not None and k is not None
                ]
                part = products_of(p, of, n, dtype)
            if part is None:
                left.append(p)
            else:
                total += part
        if left:
            total += _by_rows(losses, left, dtype)
    return total.to(dtype)


def _gradients(losses: Tensor, pieces: Sequence[SamplePiece]) -> dict[Any, Any]:
    """Return, by node, the gradients by its output for each task, and the samples' layout there; a node whose output
    mixes samples is left out."""
    if not pieces:
        return {}
    n, n_tasks = losses.shape
    outputs = Outputs(x.node for x in pieces)
    codes = codes_of(n, losses.device)
    mix = codes_of(n_tasks, losses.device).to(losses)

    def backward(by: Tensor) -> dict[Any, Tensor | None]:
        with outputs.watch():
            edges = outputs.edges
            return outputs.take(
                torch.autograd.grad([losses], edges, [by.to(losses)], retain_graph=True, allow_unused=True)
            )

    one = torch.eye(n_tasks, device=losses.device)
    by_task = [backward(row.expand(n, n_tasks)) for row in one]
    coded = backward(codes[:, None].to(losses) * mix)
    found = {}
    for node, last in coded.items():
        d = [of.get(node) for of in by_task]
        shape = next((x.shape for x in [*d, last] if x is not None), None)
        if shape is None:
            shape = node._input_metadata[0].shape
        like = next((x for x in [*d, last] if x is not None), losses.new_zeros(()))
        whole = [like.new_zeros(shape) if x is None else x for x in d]
        plain = torch.stack([m.to(x) * x for m, x in zip(mix, whole, strict=True)]).sum(dim=0)
        place = layout(plain, like.new_zeros(shape) if last is None else last, codes)
        if place is not None:
            found[node] = (whole, *place)
    return found


def _by_rows(losses: Tensor, params: Sequence[Tensor], dtype: torch.dtype) -> Tensor:
    rows = losses.new_empty(losses.numel(), sum(p.numel() for p in params), dtype=dtype)
    for row, loss in zip(rows, losses.reshape(-1), strict=True):
        grads = torch.autograd.grad(loss, params, retain_graph=True, allow_unused=True)
        dense = [torch.zeros_like(p) if g is None else g.to_dense() for p, g in zip(params, grads, strict=True)]
        row.copy_(torch.cat([g.reshape(-1) for g in dense]))
    return (rows @ rows.T).double()


def refuse_batch_norm(losses: Tensor) -> None:
    """Raise RequestError if a batch norm in training mode is on the way: there is no gradient of one sample then."""
    stack: list[Any] = [get_gradient_edge(losses).node]
    seen = set(stack)
    while stack:
        node = stack.pop()
        if "BatchNorm" in type(node).__name__ and getattr(node, "_saved_training", True):
            weight = getattr(node, "_saved_weight", None)
            of = "" if weight is None else f" of {weight.numel()} channels"
            raise RequestError(
                f"per='sample': a BatchNorm{of} computes with the whole batch, so that no loss is that of one sample: "
                "use GroupNorm or LayerNorm, or put it in eval()"
            )
        for child, _ in node.next_functions:
            if child is not None and child not in seen:
                seen.add(child)
                stack.append(child)
