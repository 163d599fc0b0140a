"""Functions in a graph that write gradients of parameters themselves, as reversible layers and some checkpoints do."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor

from scalarize.balancer.function_trial import full_name
from scalarize.balancer.snapshot import live_modules
from scalarize.utils.errors import RequestError


class HiddenWrites:
    """Looks what a backward of single tasks left in ``.grad``, which it should leave alone.

    Such a function calls ``backward`` within its own: what it finds there is the sum over all tasks, whatever the
    method says. Only graphs that hold functions from outside of torch are looked at.
    """

    def __init__(self) -> None:
        self._params: list[weakref.ref[Tensor]] = []

    def __getstate__(self) -> dict[str, Any]:
        """A copy has other parameters."""
        return {"_params": []}

    @contextmanager
    def refused(self, functions: Sequence[Any]) -> Iterator[None]:
        """Around backwards that write nothing to ``.grad`` themselves, through a graph that holds ``functions``.

        Raises:
            RequestError: a parameter's ``.grad`` was written to; it is as before.
        """
        strange = [name for f in functions if not (name := full_name(f)).startswith("torch.")]
        if not strange:
            yield
            return
        if not self._params:
            found = {id(p): p for module in live_modules() for p in module.parameters(recurse=False)}
            self._params = [weakref.ref(p) for p in found.values()]
        params = [p for p in (ref() for ref in self._params) if p is not None]
        held = [p.grad for p in params]
        for p in params:
            p.grad = None
        written = False
        try:
            yield
        finally:
            for p, g in zip(params, held, strict=True):
                written = written or p.grad is not None
                p.grad = g
        if written:
            raise RequestError(
                f"{strange[0]} writes gradients of parameters within its backward, out of sight of single tasks: use "
                "torch.utils.checkpoint or, in one process, level='representation' or a method of losses"
            )
