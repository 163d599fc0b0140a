"""Gradients of several losses: which leaves each one reaches, its gradient as a row, sums written into ``.grad``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from scalarize.utils.errors import RequestError

Grads = list[Tensor | None]


class Reach(NamedTuple):
    """own: for each loss the leaves that it reaches; keep: whether a later loss needs the graph of this one."""

    own: list[list[Tensor]]
    keep: list[bool]


def reach(losses: Sequence[Tensor], stop: Iterable[Tensor] = (), without: Iterable[Tensor] = ()) -> Reach:
    """Walk the graphs of ``losses``, not looking behind ``stop`` and leaving out the leaves ``without``.

    With the shared parameters as ``without``, what each loss reaches are its task's own parameters, found anew in
    each step's graph, so that a model may change its course from batch to batch. Every node is visited once,
    whatever the number of losses: about 1 microsecond a node.
    """
    left_out = {id(t) for t in without}
    leaves: dict[Any, dict[int, Tensor]] = {_node(t): {} for t in stop if t.requires_grad}
    owner: dict[Any, int] = {}
    family = list(range(len(losses)))  # losses whose graphs meet get the same number
    own: list[list[Tensor]] = []
    for t, loss in enumerate(losses):
        stack = [_node(loss)] if loss.requires_grad else []
        met = {owner[node] for node in stack if node in owner}
        while stack:
            node = stack[-1]
            if node in leaves:
                stack.pop()
                continue
            children = [child for child, _ in node.next_functions if child is not None]
            waiting = [child for child in children if child not in leaves]
            if waiting:
                stack += waiting
                continue
            variable = getattr(node, "variable", None)
            found = {} if variable is None or id(variable) in left_out else {id(variable): variable}
            for child in children:
                found.update(leaves[child])
                met.add(owner.get(child, t))
            leaves[node] = found
            if variable is None:
                owner[node] = t
            stack.pop()
        if others := {family[m] for m in met if m != t}:
            family = [t if f in others else f for f in family]
        own.append(list(leaves[_node(loss)].values()) if loss.requires_grad else [])
    return Reach(own, [family[t] in family[t + 1 :] for t in range(len(losses))])


def _node(tensor: Tensor) -> Any:
    """The graph node whose gradient is that of ``tensor``."""
    return torch.autograd.graph.get_gradient_edge(tensor).node


def gradient(loss: Tensor, inputs: Sequence[Tensor], scale: Tensor | None = None, keep: bool = True) -> Grads:
    """The gradient of ``loss`` (times ``scale``) by each of ``inputs``; None for those that it does not touch."""
    if not inputs or not loss.requires_grad:
        return [None] * len(inputs)
    roots = None if scale is None else [scale.to(loss).reshape(loss.shape)]
    try:
        return list(torch.autograd.grad([loss], inputs, roots, retain_graph=keep, allow_unused=True))
    except RuntimeError as error:
        if "donated buffer" not in str(error):
            raise
        raise RequestError(
            "torch.compile gave the model's buffers away after one backward, and one a task is needed: set "
            "torch._functorch.config.donated_buffer = False before compiling, or use level='representation'"
        ) from error


def gradients_of(losses: Sequence[Tensor], inputs: Sequence[Tensor], by: Tensor, keep: bool) -> Grads:
    """For each of ``inputs`` its gradients (K, ...) of the K sums ``by @ losses``, ``by`` (K, T), in one backward."""
    if not any(x.requires_grad for x in losses):
        return [None] * len(inputs)
    joined = stack(losses)
    return list(
        torch.autograd.grad(
            [joined], inputs, [by.to(joined)], retain_graph=keep, allow_unused=True, is_grads_batched=True
        )
    )


def weighted(losses: Sequence[Tensor], weights: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Root and its gradient, for one ordinary backward of ``sum_t weights[t] * losses[t]``; none without a graph.

    One root, not T: each further root costs as much as a small layer.
    """
    if not any(x.requires_grad for x in losses):
        return [], []
    joined = stack(losses)
    return [joined], [weights.to(joined)]


def stack(losses: Sequence[Tensor]) -> Tensor:
    """Losses of one number each as a vector (T,), with their graph."""
    return torch.stack([x if x.ndim == 0 else x.reshape(()) for x in losses])


def accumulate(params: Sequence[Tensor], grads: Sequence[Tensor | None]) -> None:
    """Add ``grads`` to ``.grad`` as an ordinary backward does; None leaves ``.grad`` as it is."""
    for p, g in zip(params, grads, strict=True):
        if g is None:
            continue
        if p.grad is None:
            p.grad = g.to(p.dtype)
        else:
            p.grad.add_(g)


def split(flat: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
    """Views of a vector (P,) in the shapes of ``like``."""
    parts = torch.split(flat, [t.numel() for t in like])
    return [part.view(t.shape) for part, t in zip(parts, like, strict=True)]


def blocks(params: Sequence[Tensor], number: int) -> list[list[Tensor]]:
    """``params`` in at most ``number`` consecutive parts of about the same size, none of them empty."""
    total, before = sum(p.numel() for p in params), 0
    parts: dict[int, list[Tensor]] = {}
    for p in params:
        parts.setdefault(before * number // total, []).append(p)
        before += p.numel()
    return list(parts.values())


class Rows:
    """Gradients of T tasks as the rows of one matrix (T, P), whose memory is kept from step to step.

    Half-precision gradients are kept in float32.
    """

    def __init__(self) -> None:
        self.matrix = torch.empty(0, 0)
        self._memory = torch.empty(0)
        self._views: list[list[Tensor]] = []
        self._layout: tuple[Any, ...] = ()

    def prepare(self, n_rows: int, like: Sequence[Tensor]) -> None:
        """Make room for ``n_rows`` gradients of the tensors ``like``; what was there is no longer of use."""
        dtype = torch.float64 if any(t.dtype == torch.float64 for t in like) else torch.float32
        layout = (n_rows, dtype, like[0].device, tuple(t.shape for t in like))
        if layout != self._layout:
            size = sum(t.numel() for t in like)
            if n_rows * size > self._memory.numel() or (dtype, like[0].device) != self._layout[1:3]:
                self._memory = torch.empty(n_rows * size, dtype=dtype, device=like[0].device)
            self.matrix = self._memory[: n_rows * size].view(n_rows, size)
            self._views = [split(row, like) for row in self.matrix]
            self._layout = layout

    def write(self, row: int, grads: Sequence[Tensor | None], add: bool = False) -> None:
        """Fill row ``row``, or ``add`` to it; None counts as zero."""
        for view, g in zip(self._views[row], grads, strict=True):
            if g is None:
                if not add:
                    view.zero_()
            elif add:
                view.add_(g.to_dense() if g.is_sparse else g)
            else:
                view.copy_(g.to_dense() if g.is_sparse else g)
