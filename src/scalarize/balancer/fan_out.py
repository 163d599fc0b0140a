"""The gradients of T losses with respect to one representation from one backward, if each loss reads it by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import BackwardCFunction

from scalarize.balancer.autograd import Grads, has_own_backward, weighted
from scalarize.balancer.torch_errors import explained


@dataclass(frozen=True)
class FanOut:
    """Graphs of T losses that meet nowhere but in the representation.

    own: for each loss the leaves that it reaches besides. readers: for each loss the nodes that pass a gradient to the
    representation, and which of their inputs it is.
    """

    own: list[list[Tensor]]
    readers: list[list[tuple[Any, int]]]


def find(losses: Sequence[Tensor], representation: Tensor) -> FanOut | None:
    """Walk the graphs of ``losses`` as far as ``representation``; None if two of them meet on the way.

    None also if a node is written in Python, which may do what the walk cannot see.
    """
    edge = torch.autograd.graph.get_gradient_edge(representation)
    end, number = edge.node, edge.output_nr
    met: set[Any] = set()
    own: list[list[Tensor]] = []
    readers: list[list[tuple[Any, int]]] = []
    for loss in losses:
        leaves: list[Tensor] = []
        reads: list[tuple[Any, int]] = []
        stack = [torch.autograd.graph.get_gradient_edge(loss).node] if loss.requires_grad else []
        if stack and (stack[0] in met or stack[0] is end):
            return None
        met.update(stack)
        mine = set(stack)
        while stack:
            node = stack.pop()
            edges = node.next_functions
            if not edges:
                variable = getattr(node, "variable", None)
                if variable is not None and has_own_backward(variable):
                    return None
                if variable is not None:
                    leaves.append(variable)
                continue
            if isinstance(node, BackwardCFunction):
                return None
            for place, (child, output) in enumerate(edges):
                if child is end:
                    if output != number:
                        return None  # past the representation, by another output of the node that made it
                    reads.append((node, place))
                elif child is not None and child not in mine:
                    if child in met:
                        return None
                    met.add(child)
                    mine.add(child)
                    stack.append(child)
        own.append(leaves)
        readers.append(reads)
    return FanOut(own, readers)


def backward(
    fan: FanOut,
    losses: Sequence[Tensor],
    representation: Tensor,
    scales: Tensor,
    arrive: Callable[[int, Tensor], None],
) -> list[Grads]:
    """Run one backward of the losses, each times its scale.

    Args:
        fan: their graphs.
        losses: T losses.
        representation: the tensor that they read.
        scales: factors (T,).
        arrive: called with the number of a loss and a gradient of ``representation``, once for each node that reads it;
            the loss's gradient is the sum.

    Returns:
        For each loss the gradients of its own leaves.
    """
    handles = [
        node.register_hook(_reader(t, place, representation, arrive))
        for t, reads in enumerate(fan.readers)
        for node, place in reads
    ]
    leaves = [p for own in fan.own for p in own]
    try:
        with explained():
            found = torch.autograd.grad(*_roots(losses, [representation, *leaves], scales), allow_unused=True)
    finally:
        for handle in handles:
            handle.remove()
    grads = iter(found[1:])
    return [[next(grads) for _ in own] for own in fan.own]


def _roots(losses: Sequence[Tensor], inputs: Sequence[Tensor], scales: Tensor) -> tuple[Any, Any, Any]:
    roots, by = weighted(losses, scales)
    return roots, inputs, by


def _reader(
    t: int, place: int, representation: Tensor, arrive: Callable[[int, Tensor], None]
) -> Callable[[Any, Any], None]:
    def hook(grad_inputs: Any, grad_outputs: Any) -> None:
        g = grad_inputs[place]
        if g is not None:
            arrive(t, g if g.shape == representation.shape else g.sum_to_size(representation.shape))

    return hook
