"""A trial of functions in a graph that are written in Python outside of torch, before several backwards pass them.

The gradients of single tasks add up to that of their sum only if a backward gives back nothing for nothing, and the
same when it is asked again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from scalarize.utils.errors import RequestError

REMEDY = "or use a method of losses with heads='weighted'"
FAR = 0.1  # relative difference of two answers; what a quantised or stochastic backward rounds is less


class FunctionTrial:
    """Tries each class of functions once."""

    def __init__(self) -> None:
        self._tried: set[str] = set()

    def run(self, functions: Sequence[Any]) -> None:
        """Ask each of ``functions`` twice for the gradient of the same, then for that of nothing.

        Their hooks do not see it, and no random stream moves.

        Raises:
            RequestError: one answers otherwise the second time, or adds a gradient of its own.
        """
        for node in functions:
            name = full_name(node)
            if name.startswith("torch.") or name in self._tried:
                continue
            changes, adds = _behaviour(node)
            if changes:
                raise RequestError(
                    f"{name} gives another gradient when its backward is asked again, as a comparison of tasks does: "
                    f"use another function, {REMEDY}"
                )
            if adds:
                raise RequestError(
                    f"{name} adds a gradient of its own in each backward (of an auxiliary loss, say), and would once "
                    "for every task: make that loss a task of its own, use level='representation' if it is in the "
                    f"encoder, {REMEDY}"
                )
            self._tried.add(name)


def full_name(function: Any) -> str:
    """Return the full name of the class that a user wrote."""
    cls = getattr(type(function), "_forward_cls", type(function))
    return f"{cls.__module__}.{cls.__qualname__}"


def _behaviour(node: Any) -> tuple[bool, bool]:
    """Return whether the node's answer changes when it is asked again, and whether it answers zeros with something;
    False twice if it cannot be asked so."""
    try:
        given = [_pattern(m) for m in node._input_metadata]
        devices = list({g.device for g in given if g.device.type == "cuda"})
        with torch.no_grad(), torch.random.fork_rng(devices):
            first, second = _tensors(node.apply(*given), copy=True), _tensors(node.apply(*given))
            changes = len(first) != len(second) or any(map(_differ, first, second))
            nothing = [] if changes else _tensors(node.apply(*(torch.zeros_like(g) for g in given)))
            return changes, any(bool((g != 0).any()) for g in nothing)
    except Exception:  # whatever it is, the backwards that are asked for will meet it and say so
        return False, False


def _pattern(metadata: Any) -> Tensor:
    """Return a gradient of an output that is neither 0 nor 1 anywhere, the same at each call."""
    flat = torch.arange(math.prod(metadata.shape), device=metadata.device) % 5 / 8 - 0.3
    return flat.reshape(metadata.shape).to(metadata.dtype)


def _tensors(answer: Any, copy: bool = False) -> list[Tensor]:
    found = answer if isinstance(answer, tuple) else (answer,)
    dense = [g if g.layout == torch.strided else g.to_dense() for g in found if isinstance(g, Tensor)]
    return [g.clone() if copy else g for g in dense]


def _differ(a: Tensor, b: Tensor) -> bool:
    size = max(float(a.abs().max()), float(b.abs().max())) if a.numel() else 0.0
    return size > 0 and not float((a - b).abs().max()) <= FAR * size
