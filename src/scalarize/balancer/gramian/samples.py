"""The Gramian of the losses of single samples: one backward a task, for all samples together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import BackwardCFunction
from torch.autograd.graph import get_gradient_edge

from scalarize.balancer import hooks
from scalarize.balancer.gramian.outputs import Outputs
from scalarize.balancer.gramian.sample_gramian import Found, Part, products_of
from scalarize.balancer.gramian.sample_layout import codes_of, layout, ways
from scalarize.balancer.gramian.sample_pieces import SamplePiece, sample_piece
from scalarize.balancer.gramian.uses import find
from scalarize.balancer.rows import DOUBLE
from scalarize.balancer.torch_errors import explained
from scalarize.utils.errors import RequestError

Combine = Callable[[Tensor], list[tuple[Tensor, Tensor]]]


class SampleGramian:
    """The inner products of the gradients of single samples' losses.

    The place of each sample in each layer's output is found once for each graph: its nodes by kind, and their shapes;
    and until there was a gradient of each sample everywhere.
    """

    def __init__(self) -> None:
        self._known: dict[Any, list[int | None]] = {}

    def __call__(self, losses: Tensor, params: Sequence[Tensor]) -> tuple[Tensor, Combine | None]:
        """Return the inner products (B T, B T) of the gradients by ``params``, in their type, float32 at least; and a
        function that makes their weighted sum, None if an ordinary backward is needed for it.

        Parameters whose uses are not known, or whose layers' outputs do not hold each sample for itself, get one
        backward for each of the B T losses, of which only their gradients are made.

        Args:
            losses: (B, T), with a graph, which is kept.
            params: that require gradients, on one device.
        """
        n, n_tasks = losses.shape
        dtype = torch.float64 if any(p.dtype in DOUBLE for p in params) else torch.float32
        total = torch.zeros(n * n_tasks, n * n_tasks, dtype=torch.float64, device=losses.device)
        with explained(), hooks.silenced(params):
            kinds, leaves = look(losses)
            uses = find([losses], params)
            pieces = {id(p): [sample_piece(use) for use in uses[id(p)]] for p in params if uses[id(p)]}
            found = self._gradients(losses, [x for xs in pieces.values() for x in xs if x is not None], kinds)
            left: list[Tensor] = []
            parts: list[tuple[Tensor, Part]] = []
            for p in params:
                if id(p) not in pieces:
                    continue
                of = [Found(x, *found[x.node]) for x in pieces[id(p)] if x is not None and x.node in found]
                part = products_of(p, of, n, dtype) if len(of) == len(pieces[id(p)]) else None
                if part is None:
                    left.append(p)
                else:
                    total += part.products
                    parts.append((p, part))
            if left:
                total += _by_rows(losses, left, dtype)
        if left or leaves is None or not leaves <= {id(p) for p in params}:
            return total.to(dtype), None
        return total.to(dtype), lambda weights: [(p, part.gradient(weights)) for p, part in parts]

    def _gradients(self, losses: Tensor, pieces: Sequence[SamplePiece], kinds: tuple[str, ...]) -> dict[Any, Any]:
        """Return, by node, the gradients by its output for each task, and the samples' layout there; a node whose
        output mixes samples is left out."""
        if not pieces:
            return {}
        n, n_tasks = losses.shape
        outputs = Outputs(x.node for x in pieces)

        def backward(by: Tensor) -> list[Tensor]:
            with outputs.watch():
                grads = torch.autograd.grad(
                    [losses], outputs.edges, [by.to(losses)], retain_graph=True, allow_unused=True
                )
            of = outputs.take(grads)
            return [losses.new_zeros(k._input_metadata[0].shape) if g is None else g for k, g in of.items()]

        d = [backward(row.expand(n, n_tasks)) for row in torch.eye(n_tasks, device=losses.device)]
        key = (kinds, tuple(losses.shape), tuple(x.shape for x in d[0]))
        places = self._known.get(key)
        if places is None:
            codes, mix = codes_of(n, losses.device), codes_of(n_tasks, losses.device)
            plain, coded = backward(mix.expand(n, n_tasks)), backward(codes[:, None] * mix)
            found = [layout(a, b, codes) for a, b in zip(plain, coded, strict=True)]
            places = [number for number, _ in found]
            if all(sure for _, sure in found):
                self._known[key] = places
        each = zip(outputs.nodes, zip(*d, strict=True), places, strict=True)
        return {k: (list(of), *ways(n, of[0].shape)[number]) for k, of, number in each if number is not None}


def _by_rows(losses: Tensor, params: Sequence[Tensor], dtype: torch.dtype) -> Tensor:
    rows = losses.new_empty(losses.numel(), sum(p.numel() for p in params), dtype=dtype)
    for row, loss in zip(rows, losses.reshape(-1), strict=True):
        grads = torch.autograd.grad(loss, params, retain_graph=True, allow_unused=True)
        dense = [torch.zeros_like(p) if g is None else g.to_dense() for p, g in zip(params, grads, strict=True)]
        row.copy_(torch.cat([g.reshape(-1) for g in dense]))
    return (rows @ rows.T).double()


def look(losses: Tensor) -> tuple[tuple[str, ...], set[int] | None]:
    """Return the kinds of all nodes, in order, and the leaves by id; None if a function may hide some.

    Raises:
        RequestError: a batch norm in training mode is on the way: there is no gradient of one sample then.
    """
    stack: list[Any] = [get_gradient_edge(losses).node]
    seen, kinds, leaves, hidden = set(stack), [], set(), False
    while stack:
        node = stack.pop()
        kinds.append(type(node).__name__)
        if (leaf := getattr(node, "variable", None)) is not None:
            leaves.add(id(leaf))
        hidden = hidden or isinstance(node, BackwardCFunction)
        if _couples(node):
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
    return tuple(kinds), None if hidden else leaves


def _couples(node: Any) -> bool:
    """Return True for a batch norm in training mode, but not over a batch of 1, as weights are standardised."""
    if "BatchNorm" not in type(node).__name__ or not getattr(node, "_saved_training", True):
        return False
    x = getattr(node, "_saved_input", None)
    return x is None or len(x) > 1
