"""The gradients by the outputs of layers, as a backward hands them to each layer's own step back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from torch import Tensor
from torch.autograd.graph import GradientEdge


class Outputs:
    """The outputs of ``nodes`` that have one each.

    Args:
        nodes: of the graph; one may be named several times.
    """

    def __init__(self, nodes: Iterable[Any]) -> None:
        self.nodes = list(dict.fromkeys(nodes))
        self._seen: dict[Any, Tensor | None] = {}

    @property
    def edges(self) -> list[Any]:
        """The inputs to ask autograd's gradients of."""
        return [GradientEdge(node, 0) for node in self.nodes]

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Within, backwards are watched: if one goes on behind a node, hooks change the node's gradient only after
        autograd has taken down what was asked for."""

        def look(node: Any, grads: Sequence[Tensor | None]) -> None:
            self._seen[node] = grads[0]

        handles = [node.register_prehook(partial(look, node)) for node in self.nodes]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def take(self, grads: Sequence[Tensor | None]) -> dict[Any, Tensor | None]:
        """Return the gradient by the output of each node.

        Args:
            grads: those by ``edges``, of the last backward.
        """
        found = dict(zip(self.nodes, grads, strict=True)) | self._seen
        self._seen = {}
        return found
