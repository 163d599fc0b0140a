"""Shield of a call of the Balancer from its surroundings: autocast, no_grad, torch's defaults, other threads."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Concatenate, ParamSpec, TypeVar

import torch

from scalarize.utils.errors import RequestError

P = ParamSpec("P")
R = TypeVar("R")


@functools.cache
def _autocast_kinds() -> tuple[str, ...]:
    """The device types whose autocast can be on here."""
    if hasattr(torch, "accelerator"):
        here = torch.accelerator.current_accelerator()
        return ("cpu",) if here is None else ("cpu", here.type)
    return ("cpu", "cuda", "xpu", "mps")  # torch before 2.6


class Turn:
    """A lock that lets one call in at a time, and refuses the others; can be copied and pickled, as a lock cannot."""

    def __init__(self) -> None:
        self._token = [True]  # list.pop is atomic

    def take(self) -> None:
        """Raise RequestError if a call is under way."""
        try:
            self._token.pop()
        except IndexError:
            raise RequestError(
                "this Balancer is at work already, in another thread or below this call: make one for each"
            ) from None

    def give(self) -> None:
        """Release the lock at the end of a call."""
        self._token.append(True)


def undisturbed(call: Callable[Concatenate[Any, P], R]) -> Callable[Concatenate[Any, P], R]:
    """Run a method of an object that has a ``_turn`` by itself, outside autocast and no_grad, in full precision.

    A Gramian in half precision is no evidence, and a backward belongs outside autocast anyway. In a function that
    ``torch.compile`` traces, the call ends one graph and the next begins after it.
    """
    uncompiled: list[Callable[..., R]] = []

    def run(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> R:
        self._turn.take()
        try:
            half = torch.get_default_dtype().itemsize < 4
            kinds = [kind for kind in _autocast_kinds() if torch.is_autocast_enabled(kind)]
            elsewhere = torch.empty(0).device.type != "cpu"  # faster than get_default_device
            if torch.is_grad_enabled() and not (half or kinds or elsewhere):
                return call(self, *args, **kwargs)
            with ExitStack() as stack:
                stack.enter_context(torch.inference_mode(False))
                stack.enter_context(torch.enable_grad())
                for kind in kinds:
                    stack.enter_context(torch.autocast(kind, enabled=False))
                if elsewhere:
                    stack.enter_context(torch.device("cpu"))
                if half:
                    stack.callback(torch.set_default_dtype, torch.get_default_dtype())
                    torch.set_default_dtype(torch.float32)
                return call(self, *args, **kwargs)
        finally:
            self._turn.give()

    @functools.wraps(call)
    def outside(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> R:
        if not uncompiled:  # not at import, which would wait for the whole compiler
            uncompiled.append(torch.compiler.disable(run))  # type: ignore[no-untyped-call]
        return uncompiled[0](self, *args, **kwargs)

    return outside
