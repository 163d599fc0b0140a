"""Several processes that share a batch (``torch.distributed``): sums over them, so that all see the whole batch."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from scalarize.balancer.autograd import Grads, split
from scalarize.utils.errors import RequestError, RunError


class Processes:
    """The processes of ``group`` (default: all that ``torch.distributed`` knows; False: this one alone).

    Every method is the identity where this process is alone.
    """

    def __init__(self, group: Any = None) -> None:
        self._group = group

    @property
    def several(self) -> bool:
        """Whether there are others."""
        if self._group is False or not dist.is_available() or not dist.is_initialized():
            return False
        return dist.get_world_size(self._group) > 1

    def sum(self, values: Tensor) -> Tensor:
        """The sum over processes, in the place of ``values``."""
        if self.several:
            dist.all_reduce(values, group=self._group)
        return values

    def shares(self, counts: Tensor) -> Tensor:
        """What part of each task's samples (T,) lies in this process, from their numbers here; NaN: nowhere any."""
        return counts / self.sum(counts.clone())

    def sum_gradients(self, params: Sequence[Tensor], grads: Sequence[Tensor | None]) -> Grads:
        """Gradients summed over processes in one message; None where no process has one.

        Raises RunError where the processes do not hold gradients of the same parameters, as when a task with
        parameters of its own is missing in one of them.
        """
        if not self.several:
            return list(grads)
        size = torch.tensor([sum(p.numel() for p in params)], dtype=torch.float64)
        span = torch.cat([size, -size]).to(params[0].device if params else "cpu")
        dist.all_reduce(span, op=dist.ReduceOp.MAX, group=self._group)
        if span[0] != -span[1]:
            raise RunError(
                "the processes reached different parameters: a task that has parameters of its own must be in the "
                "batch of every process"
            )
        if not params:
            return []
        dtype = torch.float64 if any(p.dtype == torch.float64 for p in params) else torch.float32
        touched = torch.tensor([g is not None for g in grads], dtype=dtype, device=params[0].device)
        parts = [torch.zeros_like(p) if g is None else g for p, g in zip(params, grads, strict=True)]
        flat = self.sum(torch.cat([touched, *(g.reshape(-1).to(dtype) for g in parts)]))
        hit = (flat[: len(params)] > 0).tolist()
        return [g if h else None for g, h in zip(split(flat[len(params) :], params), hit, strict=True)]


def refuse_sharded(params: Sequence[Tensor]) -> None:
    """Raise RequestError for parameters of which this process holds a part only (FSDP, DTensor)."""
    for p in params:
        if hasattr(p, "_fsdp_flattened") or type(p).__name__ in ("DTensor", "FlatParameter"):
            raise RequestError(
                "shared= holds parameters that FSDP has sharded: gradients of single tasks need whole parameters; "
                "give the plain module (the Balancer itself sums over processes)"
            )


def refuse_wrapped(first: Tensor) -> None:
    """Raise RequestError if DistributedDataParallel also sums the gradients of the module that holds ``first``."""
    from torch.nn.parallel import DistributedDataParallel

    for found in gc.get_objects():
        if not issubclass(type(found), DistributedDataParallel) or not found.require_backward_grad_sync:
            continue
        if any(p is first for p in found.parameters()):
            raise RequestError(
                "the shared parameters belong to a DistributedDataParallel module: give the plain module, or "
                "work under its no_sync(); the Balancer itself sums over processes"
            )
