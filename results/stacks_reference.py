"""A slow reference for one step: a fresh forward and one autograd.grad per task, then the method's own combination.

Nothing here knows ``scalarize.balancer``: the only thing shared with it is the method, whose ``combine_gradients`` and
``combine_losses`` are the definition of what it does.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from scalarize.methods import Method, Needs

Forward = Callable[[], tuple[dict[str, Tensor], Any]]  # () -> losses by task, representation
Gradients = dict[int, Tensor | None]  # id of a parameter -> its expected .grad


def tensors(representation: Any) -> list[Tensor]:
    """The tensors with a gradient in a representation of any kind (a tensor, a list, a dict, a dataclass)."""
    if isinstance(representation, Tensor):
        return [representation] if representation.requires_grad else []
    if isinstance(representation, PackedSequence):
        return tensors(representation.data)
    if isinstance(representation, Mapping):
        return [t for part in representation.values() for t in tensors(part)]
    if dataclasses.is_dataclass(representation):
        return [t for f in dataclasses.fields(representation) for t in tensors(getattr(representation, f.name))]
    if isinstance(representation, list | tuple):
        return [t for part in representation for t in tensors(part)]
    return []


def _real(tensor: Tensor) -> Tensor:
    """Numbers of a gradient in float64, flat; a complex one as its real and imaginary parts."""
    tensor = tensor.to_dense() if tensor.is_sparse else tensor
    return (torch.view_as_real(tensor) if tensor.is_complex() else tensor).double().reshape(-1)


def _shaped(flat: Tensor, like: Tensor) -> Tensor:
    return torch.view_as_complex(flat.reshape(*like.shape, 2)) if like.is_complex() else flat.reshape(like.shape)


def _gradients(loss: Tensor, inputs: list[Tensor]) -> list[Tensor | None]:
    if not loss.requires_grad:
        return [None] * len(inputs)
    found = torch.autograd.grad(loss, inputs, allow_unused=True, retain_graph=True)
    return [None if g is None else _real(g) for g in found]


def _past_the_others(loss: Tensor, z: list[Tensor]) -> list[Tensor | None]:
    """The gradient of ``loss`` by each of ``z``, not counting what goes through a later one of them.

    A later part may be made of an earlier one (a feature pyramid): what reaches the earlier one through it follows from
    the later one's own gradient, and must not be counted twice.
    """
    found = _gradients(loss, z)
    for j in reversed(range(len(z))):
        for i in range(j):
            if found[j] is None or found[i] is None:
                continue
            through = torch.autograd.grad(z[j], z[i], _shaped(found[j], z[j]).to(z[j].dtype), retain_graph=True,
                                          allow_unused=True)[0]  # fmt: skip
            if through is not None:
                found[i] = found[i] - _real(through)
    return found


def _size(tensor: Tensor) -> int:
    return tensor.numel() * (2 if tensor.is_complex() else 1)


def _rows(by_task: list[list[Tensor | None]], inputs: list[Tensor]) -> Tensor:
    def row(found: list[Tensor | None]) -> Tensor:
        zeros = [torch.zeros(_size(x), dtype=torch.float64) for x in inputs]
        return torch.cat([z if g is None else g for g, z in zip(found, zeros, strict=True)])

    return torch.stack([row(found) for found in by_task])


def expected(
    forward: Forward,
    shared: Iterable[Tensor],
    parameters: Iterable[Tensor],
    method: Method,
    level: str,
    generator: torch.Generator | None = None,
) -> Gradients:
    """The ``.grad`` that one step of ``method`` is to leave on each of ``parameters``, in float64; None: nothing.

    ``forward`` is called once a task and must give the same numbers each time. The method's state advances; what it
    learns is given its gradient.
    """
    generator = generator or torch.Generator().manual_seed(0)
    every = [p for p in dict.fromkeys(parameters) if p.requires_grad]
    inner = [p for p in dict.fromkeys(shared) if p.requires_grad]
    tasks = list(forward()[0])
    held = {task: forward()[0][task] for task in tasks}
    own = [_gradients(held[task], every) for task in tasks]
    told = torch.stack([held[task].detach().double().reshape(()) for task in tasks])
    result: Gradients = {}

    def add(weights: Tensor, params: list[Tensor]) -> None:
        for p in params:
            place = next(k for k, q in enumerate(every) if q is p)
            parts = [w * own[t][place] for t, w in enumerate(weights.double()) if own[t][place] is not None]
            result[id(p)] = _shaped(sum(parts), p) if parts else None

    known = {id(p) for p in inner}
    outer = [p for p in every if id(p) not in known]
    ones = torch.ones(len(tasks), dtype=torch.float64)
    if method.needs <= Needs.LOSSES:
        total, weights = method.combine_losses(told, generator=generator)
        if method.learned:
            torch.autograd.backward([total], inputs=method.parameters())
        add(weights, every if method.heads != "own" else inner)
        if method.heads == "own":
            add(ones, outer)
        return result
    if level == "parameters":
        places = [next(k for k, q in enumerate(every) if q is p) for p in inner]
        rows = [[found[k] for k in places] for found in own]
        combined = method.combine_gradients(_rows(rows, inner), losses=told, generator=generator)
        for p, k, part in zip(inner, places, combined.gradient.split([_size(p) for p in inner]), strict=True):
            result[id(p)] = _shaped(part, p) if any(found[k] is not None for found in own) else None
    else:
        by_task = []
        for task in tasks:
            losses, representation = forward()
            by_task.append(_past_the_others(losses[task], tensors(representation)))
        _, representation = forward()
        z = tensors(representation)
        combined = method.combine_gradients(_rows(by_task, z), losses=told, generator=generator)
        parts = combined.gradient.split([_size(x) for x in z])
        found = torch.autograd.grad(z, inner, [_shaped(g, x).to(x.dtype) for g, x in zip(parts, z, strict=True)],
                                    allow_unused=True)  # fmt: skip
        for p, g in zip(inner, found, strict=True):
            result[id(p)] = None if g is None else _shaped(_real(g), p)
    add(ones if method.heads != "weighted" or combined.weights is None else combined.weights, outer)
    return result


def error(parameters: Iterable[Tensor], want: Gradients) -> float:
    """The largest difference of ``.grad`` from ``want``, relative to each parameter's largest entry.

    Entries below a thousandth of the largest of all count as that; a missing ``.grad`` counts as zeros.
    """
    every = list(dict.fromkeys(parameters))
    top = max([float(g.abs().max()) for g in want.values() if g is not None and g.numel()], default=0.0)
    worst = 0.0
    for p in every:
        wanted, got = want.get(id(p)), p.grad
        if wanted is None and got is None:
            continue
        zero = torch.zeros(_size(p), dtype=torch.float64)
        a = zero if got is None else _real(got.detach())
        b = zero if wanted is None else _real(wanted)
        off = float((a - b).abs().max() / max(float(b.abs().max()), 1e-3 * top, 1e-12)) if p.numel() else 0.0
        worst = max(worst, off) if off == off else float("inf")
    return worst


def relative(moved: list[Tensor], want: list[Tensor], start: list[Tensor]) -> float:
    """The norm of what parameters ``moved`` to beside what they should be, relative to the way they should go."""

    def flat(values: list[Tensor]) -> Tensor:
        return torch.cat([_real(v.detach()) for v in values])

    return float((flat(moved) - flat(want)).norm() / (flat(want) - flat(start)).norm())
