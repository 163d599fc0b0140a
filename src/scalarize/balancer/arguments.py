"""Reading of what users hand over: parameters, losses and representations; one clear line for anything else."""

from __future__ import annotations

import dataclasses
import numbers
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from scalarize.utils.errors import RequestError

Parameters = Tensor | nn.Module | Iterable[Any]  # as ``read_parameters`` takes them
Loss = Tensor | float | None


def read_parameters(given: Any, name: str) -> tuple[Tensor, ...]:
    """Return the tensors in ``given``, each once, in order.

    Args:
        given: a tensor, a module, or an iterable or mapping of tensors, modules or (name, tensor) pairs, such as
            ``parameters()`` and ``named_parameters()``; None for nothing.
        name: of the argument, for the error.

    Raises:
        RequestError: there is something else in it, nothing at all, or a tensor that was computed from others.
    """
    found: dict[int, Tensor] = {}  # by identity: a tied tensor that is listed twice has one gradient
    for tensor in _tensors(given, name):
        if not tensor.is_leaf:
            source = "" if tensor.grad_fn is None else f", {tensor.grad_fn.name()}"
            raise RequestError(
                f"{name}= holds a tensor that was computed ({tuple(tensor.shape)}{source}): give the parameters that "
                "an optimiser steps"
            )
        found.setdefault(id(tensor), tensor)
    if given is not None and not found:
        raise RequestError(f"{name}= holds no tensor: it is empty, or an iterator that was read before")
    return tuple(found.values())


def _tensors(given: Any, name: str) -> Iterator[Tensor]:
    if given is None:
        return
    if isinstance(given, Tensor):
        yield given
    elif isinstance(given, nn.Module):
        yield from given.parameters()
    elif isinstance(given, tuple) and len(given) == 2 and isinstance(given[0], str):
        yield from _tensors(given[1], name)
    elif isinstance(given, Mapping):
        yield from _tensors(list(given.values()), name)
    elif isinstance(given, Iterable) and not isinstance(given, str | bytes | np.ndarray):
        for item in given:
            yield from _tensors(item, name)
    else:
        raise RequestError(
            f"{name}= must hold tensors, as encoder.parameters() does, not {type(given).__name__} {given!r:.40}"
        )


def read_losses(losses: Any, device: torch.device) -> dict[str, Tensor | None]:
    """Convert losses by task to tensors of a floating-point type; plain numbers become constants, without a gradient.

    Args:
        losses: a mapping of task to loss: a tensor, number or numpy value; None if a task is not in this batch.
        device: device of plain numbers if no loss is a tensor.

    Raises:
        RequestError: it is no mapping, or a loss is not one real number.
    """
    if not isinstance(losses, Mapping):
        raise RequestError(
            f"losses must be a mapping of task to loss, as {{'seg': loss_1, 'depth': loss_2}}, not {_kind(losses)}"
        )
    read = dict(losses)
    for task, loss in read.items():
        if not isinstance(loss, Tensor):
            if loss is None:
                continue
            device = next((x.device for x in losses.values() if isinstance(x, Tensor)), device)
            read[task] = _constant(task, loss, device)
            continue
        if loss.numel() != 1:
            raise RequestError(f"task {task!r}: its loss must be one number, got shape {tuple(loss.shape)}")
        if not loss.is_floating_point():
            if loss.is_complex():
                raise RequestError(f"task {task!r}: its loss must be a real number, got {loss.dtype}")
            read[task] = loss.float()
        if loss.is_meta:
            raise RequestError(f"task {task!r}: its loss is on the meta device, which holds no numbers")
    return read


def _constant(task: str, loss: Any, device: torch.device) -> Tensor:
    if isinstance(loss, np.ndarray | np.generic) and loss.size == 1:
        loss = loss.item()
    if not isinstance(loss, numbers.Real):
        raise RequestError(f"task {task!r}: its loss must be one number, a tensor at best, not {_kind(loss)}")
    return torch.tensor(float(loss), device=device)


def read_representation(given: Any) -> list[Tensor]:
    """Return the tensors in ``given`` that have a gradient, in order, each once.

    Args:
        given: a tensor, or tensors in lists, tuples, mappings, dataclasses, ``ModelOutput`` or ``PackedSequence``,
            nested at will; None in them is passed over.

    Raises:
        RequestError: there is something else in it, or a tensor that cannot be a row of numbers.
    """
    found = []
    for z in _parts(given):
        if z.is_nested or z.layout != torch.strided:
            raise RequestError(f"representation=: {z.layout} tensors are not supported, give padded dense ones")
        if z.requires_grad:
            found.append(z)
    if len(found) < 2:
        return found
    edges = [torch.autograd.graph.get_gradient_edge(z) for z in found]
    return list({(edge.node, edge.output_nr): z for edge, z in zip(edges, found, strict=True)}.values())


def _parts(given: Any) -> Iterator[Tensor]:
    if isinstance(given, Tensor):
        yield given
    elif isinstance(given, Mapping) or (hasattr(given, "keys") and hasattr(given, "values")):
        yield from _parts(list(given.values()))
    elif isinstance(given, Sequence) and not isinstance(given, str | bytes):
        for item in given:
            yield from _parts(item)
    elif dataclasses.is_dataclass(given) and not isinstance(given, type):
        yield from _parts([getattr(given, field.name) for field in dataclasses.fields(given)])
    elif given is not None:
        raise RequestError(f"representation= must be a tensor, or hold tensors, not {_kind(given)}")


def _kind(given: Any) -> str:
    if isinstance(given, Tensor | np.ndarray):
        return f"{type(given).__name__} of shape {tuple(given.shape)}"
    return type(given).__name__
