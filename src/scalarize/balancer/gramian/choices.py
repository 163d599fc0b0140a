"""The choice of a step: rows, or what takes their place."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from scalarize.balancer.gramian.choice import choose
from scalarize.balancer.gramian.compact import Compact
from scalarize.balancer.gramian.verify import agrees
from scalarize.balancer.torch_errors import explained


class Choices:
    """The choices of one Balancer, step by step; the first that is no rows is verified."""

    def __init__(self) -> None:
        self._trusted: bool | None = None

    def __call__(self, losses: Sequence[Tensor], params: Sequence[Tensor]) -> Compact | None:
        """Return room for the gradients of ``losses`` by ``params``; None if rows for all of them are the cheaper way,
        or if the layers' gradients are not what they should be."""
        if self._trusted is False:
            return None
        with explained():  # a graph that was used up holds nothing any more
            pieces = choose(losses, params)
            if not pieces:
                return None
            if self._trusted is None:
                self._trusted = agrees(losses, params, pieces)
            return None if self._trusted is False else Compact(params, pieces, len(losses))
