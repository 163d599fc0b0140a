"""One call of ``Balancer.backward``, as it was made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from scalarize.balancer.arguments import read_representation


@dataclass(frozen=True)
class Call:
    """The arguments of one call of ``Balancer.backward``."""

    losses: Mapping[str, Any]
    representation: Any
    extra: Sequence[Mapping[str, Any]]
    final: bool
    scaler: Any
    counts: Mapping[str, float] | None

    @property
    def given(self) -> list[Tensor]:
        """The tensors of the representation that have a gradient."""
        return read_representation(self.representation)


def nodes(roots: Sequence[Tensor]) -> Iterator[Any]:
    """Yield every node of the graphs of ``roots`` once."""
    stack: list[Any] = [torch.autograd.graph.get_gradient_edge(x).node for x in roots if x.requires_grad]
    seen = set()
    while stack:
        node = stack.pop()
        if node is not None and node not in seen:
            seen.add(node)
            yield node
            stack += [child for child, _ in node.next_functions]
