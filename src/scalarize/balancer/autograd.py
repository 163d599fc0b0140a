"""Graphs of several losses: the leaves that each one reaches, one root for a weighted sum, writing to ``.grad``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import BackwardCFunction
from torch.utils.checkpoint import CheckpointFunction

Grads = list[Tensor | None]


class Reach(NamedTuple):
    """The leaves that each of several losses reaches.

    Args:
        own: for each loss the leaves that it reaches.
        keep: for each loss, True if a later loss needs its graph.
        functions: the nodes met that are written in Python (``torch.autograd.Function``).
        joints: nodes at which the graph of a loss meets that of an earlier one.
    """

    own: list[list[Tensor]]
    keep: list[bool]
    functions: list[Any]
    joints: list[Any]

    def leaves(self) -> dict[int, Tensor]:
        """Return the leaves that any loss reaches, by identity."""
        return {id(leaf): leaf for leaves in self.own for leaf in leaves}

    def common(self) -> list[Any]:
        """Return those ``functions`` that several losses reach."""
        met, stack = set[Any](), list(self.joints) if self.functions else []
        while stack:
            if (node := stack.pop()) not in met:
                met.add(node)
                stack += [child for child, _ in node.next_functions if child is not None]
        return [f for f in self.functions if f in met]

    @property
    def reentrant(self) -> bool:
        """True if there is a checkpoint with ``use_reentrant=True``."""
        return any(getattr(type(f), "_forward_cls", None) is CheckpointFunction for f in self.functions)

    @property
    def cached(self) -> bool:
        """True if a loss makes its backward in a hook of its own, see :func:`has_own_backward`."""
        return any(has_own_backward(leaf) for leaf in self.leaves().values())

    @property
    def opaque(self) -> bool:
        """True if parameters may be used out of the graph's sight, as reentrant checkpoints of any make do."""
        modules = [getattr(getattr(type(f), "_forward_cls", None), "__module__", "") for f in self.functions]
        return self.cached or self.reentrant or any(not m.startswith("torch.") for m in modules)


def has_own_backward(leaf: Tensor) -> bool:
    """Return True if ``leaf`` is a loss cut off its graph, whose hook makes the backward (losses with cached gradients,
    Gao et al. 2021)."""
    return leaf.numel() == 1 and bool(leaf._backward_hooks) and not isinstance(leaf, torch.nn.Parameter)


def reach(losses: Sequence[Tensor], stop: Iterable[Tensor] = (), without: Iterable[Tensor] = ()) -> Reach:
    """Walk the graphs of ``losses``, not looking behind ``stop`` and leaving out the leaves ``without``.

    With the shared parameters as ``without``, each loss reaches its task's own parameters, found anew in each step's
    graph, so that a model may change its course from batch to batch. Every node is visited once,
    whatever the number of losses: about 1 microsecond a node. A node may have several outputs (``chunk``, a compiled
    model): only the one that a tensor of ``stop`` is, not its node, ends the walk.
    """
    left_out = {id(t) for t in without}
    ends = {_edge(t) for t in stop if t.requires_grad}
    end_nodes = {node for node, _ in ends}
    leaves: dict[Any, dict[int, Tensor]] = {}
    owner: dict[Any, int] = {}
    family = list(range(len(losses)))  # losses whose graphs meet get the same number
    own: list[list[Tensor]] = []
    functions: list[Any] = []
    joints: list[Any] = []
    for t, loss in enumerate(losses):
        root = _edge(loss) if loss.requires_grad else None
        root = None if root in ends else root
        stack = [] if root is None else [root[0]]
        met = {owner[node] for node in stack if node in owner}
        while stack:
            node = stack[-1]
            if node in leaves:
                stack.pop()
                continue
            edges = node.next_functions
            children = [c for c, k in edges if c is not None and (c not in end_nodes or (c, k) not in ends)]
            waiting = [child for child in children if child not in leaves]
            if waiting:
                stack += waiting
                continue
            variable = getattr(node, "variable", None)
            found = {} if variable is None or id(variable) in left_out else {id(variable): variable}
            for child in children:
                found.update(leaves[child])
                if owner.get(child, t) != t:
                    met.add(owner[child])
                    joints.append(child)
            leaves[node] = found
            if variable is None:
                owner[node] = t
                if isinstance(node, BackwardCFunction):
                    functions.append(node)
            stack.pop()
        if others := {family[m] for m in met if m != t}:
            family = [t if f in others else f for f in family]
        own.append([] if root is None else list(leaves[root[0]].values()))
    return Reach(own, [family[t] in family[t + 1 :] for t in range(len(losses))], functions, joints)


def _edge(tensor: Tensor) -> tuple[Any, int]:
    """The graph's node whose gradient is that of ``tensor``, and which output of it ``tensor`` is."""
    edge = torch.autograd.graph.get_gradient_edge(tensor)
    return edge.node, edge.output_nr


def weighted(losses: Sequence[Tensor], weights: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Return root and gradient for one ordinary backward of ``sum_t weights[t] * losses[t]``; none without a graph.

    One root, not T: each further root costs as much as a small layer.
    """
    if not any(x.requires_grad for x in losses):
        return [], []
    joined = stack(losses)
    return [joined], [weights.to(joined)]


def stack(losses: Sequence[Tensor]) -> Tensor:
    """Stack losses of one number each to a vector (T,), with their graph, on the device of the first."""
    device = losses[0].device
    there = [x if x.device == device else x.to(device) for x in losses]
    return torch.stack([x if x.ndim == 0 else x.reshape(()) for x in there])


class _Handed(torch.autograd.Function):
    """A root whose backward gives each parameter a gradient that is there already."""

    @staticmethod
    def forward(ctx: Any, held: list[Tensor], *params: Tensor) -> Tensor:
        ctx.held = held
        return torch.zeros(())

    @staticmethod
    def backward(ctx: Any, *_: Tensor) -> Any:
        grads = tuple(ctx.held)
        ctx.held.clear()  # what nobody else holds becomes .grad without a copy
        return None, *grads


def accumulate(
    params: Sequence[Tensor], grads: Sequence[Tensor | None], fresh: bool = False, by_hand: bool = False
) -> None:
    """Add ``grads`` to ``.grad`` as an ordinary backward does; None leaves ``.grad`` as it is.

    It is one, so that all hooks see it: those of parameters, of several at once, and of the nodes that accumulate, as
    optimisers within backward use. ``by_hand`` the nodes are passed by, whose hooks are those of
    DistributedDataParallel, and only the parameters' own hooks are called.

    ``.grad`` gets the memory layout of its parameter: fused optimisers go by it and do not look at strides. If
    the gradients are not ``fresh``, they are copied: autograd hands the same memory to all terms of a sum.
    """
    pairs = [(p, g) for p, g in zip(params, grads if fresh else copied(grads), strict=True) if g is not None]
    if not pairs:
        return
    with torch.no_grad():
        if not by_hand:
            held = [laid_out(g, p).detach() for p, g in pairs]
            with torch.enable_grad():
                root = _Handed.apply(held, *(p for p, _ in pairs))  # type: ignore[no-untyped-call]
            torch.autograd.backward([root])
            return
        for p, g in pairs:
            for hook in list((p._backward_hooks or {}).values()):
                changed = hook(g)
                g = g if changed is None else changed
            _add(p, g)
            for hook in list((p._post_accumulate_grad_hooks or {}).values()):
                hook(p)


def copied(grads: Sequence[Tensor | None]) -> Grads:
    """Return copies of ``grads``."""
    there = [g for g in grads if g is not None]
    with torch.no_grad():
        copies = iter(torch._foreach_mul(there, 1) if there else [])
    return [None if g is None else next(copies) for g in grads]


def _add(p: Tensor, g: Tensor) -> None:
    if p.grad is None:
        p.grad = laid_out(g, p)
    elif p.grad.is_sparse and not g.is_sparse:
        p.grad = laid_out(g + p.grad, p)
    else:
        p.grad.add_(g)


def laid_out(g: Tensor, p: Tensor) -> Tensor:
    """Convert ``g`` to a valid ``.grad`` of ``p``: its device, an allowed dtype and, if dense, its strides."""
    dtype = getattr(p, "grad_dtype", p.dtype) or g.dtype
    if g.is_sparse:
        return g.to(p.device, dtype)
    if g.stride() == p.stride() or (g.is_contiguous() and p.is_contiguous()):
        return g.to(p.device, dtype)
    return torch.empty_like(p, dtype=dtype).copy_(g)


def split(flat: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
    """Split a vector (P,) into views in the shapes of ``like``."""
    parts = torch.split(flat, [t.numel() for t in like])
    return [part.view(t.shape) for part, t in zip(parts, like, strict=True)]


def blocks(params: Sequence[Tensor], number: int) -> list[list[Tensor]]:
    """Split ``params`` into at most ``number`` consecutive parts of about the same size, none of them empty."""
    total, before = sum(p.numel() for p in params), 0
    parts: dict[int, list[Tensor]] = {}
    for p in params:
        parts.setdefault(before * number // total, []).append(p)
        before += p.numel()
    return list(parts.values())
