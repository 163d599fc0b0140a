"""A look, before the first step, that a layer's gradient is what its input and its output's gradient make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from scalarize.balancer import hooks
from scalarize.balancer.autograd import weighted
from scalarize.balancer.gramian.compact import Compact
from scalarize.balancer.gramian.pieces import Piece
from scalarize.balancer.torch_errors import explained


def agrees(losses: Sequence[Tensor], params: Sequence[Tensor], pieces: Mapping[int, Sequence[Piece]]) -> bool | None:
    """Return True if autograd has the same gradients of the losses' sum by the weights that ``pieces`` are the uses
    of; False if somebody changes them on the way, as a hook on a node may; None if that cannot be told,
    as they are not finite, or all 0.

    Args:
        losses: of the tasks, with a graph that is kept.
        params: the parameters.
        pieces: by place among them, see :func:`choice.choose`.
    """
    chosen = [params[k] for k in pieces]
    one = torch.ones(1, device=losses[0].device)
    roots, by = weighted(losses, one.expand(len(losses)))
    compact = Compact(params, pieces, 1)
    with hooks.silenced(params), explained():
        given = torch.autograd.grad(roots, chosen, by, retain_graph=True, allow_unused=True)
        with compact.outputs.watch():  # a backward of its own: autograd goes as far as it does in a step
            seen = torch.autograd.grad(roots, compact.inputs, by, retain_graph=True, allow_unused=True)
            compact.write(0, seen)
    made = [g for k, g in enumerate(compact.gradients(one)) if k in pieces]
    half = any(x is not None and x.element_size() < 4 for x in seen)
    empty = True
    for g, ours in zip(given, made, strict=True):
        if g is None or ours is None:
            if g is not None or ours is not None:
                return False
            continue
        g, ours = (x.to_dense() if x.is_sparse else x for x in (g, ours))
        size, gap = float(g.abs().max()), float((g - ours).abs().max())
        if not size < float("inf"):
            return None
        empty = empty and size == 0
        if not gap <= (0.05 if half else 1e-3) * size:
            return False
    return None if empty else True
