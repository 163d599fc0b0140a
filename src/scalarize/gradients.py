"""Gradients of several losses: which leaves each one reaches, its gradient as a row, sums written into ``.grad``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

Grads = list[Tensor | None]


def node_of(tensor: Tensor) -> Any:
    """The graph node whose gradient is that of ``tensor``."""
    return torch.autograd.graph.get_gradient_edge(tensor).node


def leaves_of(
    losses: Sequence[Tensor], stop: Iterable[Tensor] = (), without: Iterable[Tensor] = ()
) -> list[list[Tensor]]:
    """For each loss the leaf tensors that it reaches, not looking behind ``stop`` and leaving out ``without``.

    With the shared parameters as ``without`` these are the task's own parameters, found anew in each step's graph,
    so that a model may change its course from batch to batch. One visit a node, whatever the number of losses.
    """
    left_out = {id(t) for t in without}
    reached: dict[Any, dict[int, Tensor]] = {node_of(t): {} for t in stop if t.requires_grad}
    found: list[dict[int, Tensor]] = []
    for loss in losses:
        if not loss.requires_grad:
            found.append({})
            continue
        root = node_of(loss)
        stack = [root]
        while stack:
            node = stack[-1]
            if node in reached:
                stack.pop()
                continue
            children = [child for child, _ in node.next_functions if child is not None]
            waiting = [child for child in children if child not in reached]
            if waiting:
                stack.extend(waiting)
                continue
            own: dict[int, Tensor] = {}
            variable = getattr(node, "variable", None)
            if variable is not None and id(variable) not in left_out:
                own[id(variable)] = variable
            for child in children:
                own.update(reached[child])
            reached[node] = own
            stack.pop()
        found.append(reached[root])
    return [list(leaves.values()) for leaves in found]


def gradient(loss: Tensor, inputs: Sequence[Tensor], scale: Tensor | None = None, retain_graph: bool = True) -> Grads:
    """The gradient of ``loss`` (times ``scale``) by each of ``inputs``; None for those that it does not touch."""
    if not inputs or not loss.requires_grad:
        return [None] * len(inputs)
    roots = None if scale is None else [scale.to(loss).reshape(loss.shape)]
    return list(torch.autograd.grad([loss], inputs, roots, retain_graph=retain_graph, allow_unused=True))


def accumulate(params: Sequence[Tensor], grads: Sequence[Tensor | None]) -> None:
    """Add ``grads`` to ``.grad`` as an ordinary backward would; None leaves ``.grad`` as it is."""
    for p, g in zip(params, grads, strict=True):
        if g is None:
            continue
        g = g.to(p.dtype)
        p.grad = g if p.grad is None else p.grad + g


def weighted_backward(
    losses: Sequence[Tensor], weights: Tensor, inputs: Sequence[Tensor] | None = None, retain_graph: bool = False
) -> None:
    """One ordinary backward of ``sum_t weights[t] * losses[t]`` into ``.grad`` (of ``inputs``, if given)."""
    pairs = [
        (x, w.to(x.dtype).reshape(x.shape)) for x, w in zip(losses, weights.unbind(), strict=True) if x.requires_grad
    ]
    if pairs and (inputs is None or inputs):
        roots, by = zip(*pairs, strict=True)
        torch.autograd.backward(roots, by, inputs=inputs, retain_graph=retain_graph)


class Rows:
    """Gradients of T tasks as the rows of one matrix (T, P) that is kept from step to step.

    Half-precision gradients are kept in float32.
    """

    def __init__(self) -> None:
        self.matrix = torch.empty(0, 0)
        self._views: list[list[Tensor]] = []
        self._layout: tuple[Any, ...] = ()

    def prepare(self, n_rows: int, like: Sequence[Tensor]) -> None:
        """Make room for ``n_rows`` gradients of the tensors ``like``."""
        dtype = torch.float64 if any(t.dtype == torch.float64 for t in like) else torch.float32
        layout = (n_rows, dtype, like[0].device, tuple(t.shape for t in like))
        if layout == self._layout:
            return
        sizes = [t.numel() for t in like]
        self.matrix = torch.empty(n_rows, sum(sizes), dtype=dtype, device=like[0].device)
        self._views = [self.split(row, like) for row in self.matrix]
        self._layout = layout

    @staticmethod
    def split(flat: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
        """Views of a vector (P,) in the shapes of ``like``."""
        parts = torch.split(flat, [t.numel() for t in like])
        return [part.view(t.shape) for part, t in zip(parts, like, strict=True)]

    def write(self, row: int, grads: Sequence[Tensor | None]) -> None:
        """Replace row ``row``; None counts as zero."""
        for view, g in zip(self._views[row], grads, strict=True):
            if g is None:
                view.zero_()
            else:
                view.copy_(g)
