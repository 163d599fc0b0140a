"""Hooks on tensors, while the gradients of single tasks are taken: the users' silent, the representation's cut open."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor


@contextmanager
def silenced(tensors: Iterable[Tensor]) -> Iterator[None]:
    """Suspend the ``register_hook`` hooks and ``retain_grad`` of ``tensors`` within.

    They are meant for the whole gradient: a clamp, say, is no linear map. Whoever hands the combination on fires them.
    """
    held, retained = [], []
    for t in tensors:
        if hooks := t._backward_hooks:
            held.append((hooks, dict(hooks)))
            hooks.clear()  # autograd reads this very dict
        if t.retains_grad:
            retained.append((t, t.grad))
            t.grad = None
    try:
        yield
    finally:
        for hooks, saved in held:
            hooks.update(saved)
        for t, grad in retained:
            t.grad = grad


@contextmanager
def cut(tensors: Sequence[Tensor]) -> Iterator[dict[int, Tensor]]:
    """Stop gradients at ``tensors`` within; the dict holds, by position, the gradient that arrived at each.

    The levels of a feature pyramid depend on each other: a deeper one's gradient must not count again in those that
    it was made from.
    """
    seen: dict[int, Tensor] = {}

    def end(place: int, g: Tensor | None) -> Tensor | None:
        if g is None:  # another output of the same node received one
            return None
        seen[place] = g
        return torch.zeros_like(g)

    handles = [t.register_hook(partial(end, place)) for place, t in enumerate(tensors)]  # type: ignore[no-untyped-call]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()
