"""Looks at a model: if the samples of a batch have no part in each other's predictions, and what one costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from scalarize.utils.seeds import fork_rng

COMPILED = 1e9  # operations of a sample that are assumed
TOLERANCE = 1e-6  # of the largest number compared: devices may add in another order


def takes_batch_statistics(model: nn.Module) -> bool:
    """Return True if a norm of torch's takes its statistics from the batch, or keeps account of them."""
    norms = [m for m in model.modules() if isinstance(m, _NormBase)]
    batch = [m for m in norms if not isinstance(m, nn.modules.instancenorm._InstanceNorm)]
    return any(m.training for m in norms if m.track_running_stats) or any(m.running_mean is None for m in batch)


def independent(model: Any, inputs: Any, tasks: Sequence[str]) -> bool:
    """Return True if each sample's predictions, and their gradients, depend on that sample alone.

    Half of the samples are exchanged for others, in their places and under the same random numbers. Nothing that
    belongs to the other half may change by that, nor may a buffer: two forward passes and two backwards.

    Args:
        model: with ``encode`` and ``decode``, in training mode; it is left as it was.
        inputs: a tensor (B, ...) of some samples that are not all equal, as the model takes it.
        tasks: names of the heads.
    """
    if takes_batch_statistics(model):
        return False
    if not isinstance(inputs, Tensor) or len(inputs) < 4:
        return False
    kept = len(inputs) // 2
    others = torch.cat([inputs[:kept], inputs[: len(inputs) - kept].flip(0)])
    if torch.equal(inputs, others):
        return False
    try:
        first, second = (_seen(model, x, tasks, kept) for x in (inputs, others))
    except Exception:  # a model of another kind, or one that needs the whole batch
        return False
    return first is not None and second is not None and all(map(_same, first, second))


def forward_flops(model: Any, inputs: Tensor, tasks: Sequence[str]) -> float:
    """Return the floating-point operations of matrix products and convolutions in a forward pass of ``inputs``.

    Those of a compiled model are out of sight: it is taken to be large, or nobody would have compiled it.
    """
    if any(hasattr(m, "_orig_mod") or getattr(m, "_compiled_call_impl", None) is not None for m in model.modules()):
        return COMPILED * len(inputs)
    counter = _Counter()
    devices = [] if inputs.device.type == "meta" else [inputs.device]
    with fork_rng(0, devices), torch.no_grad(), counter:
        model.decode(model.encode(inputs), tasks)
    return counter.total


class _Counter(TorchDispatchMode):
    """A sum over operators, as torch's FlopCounterMode makes it, without its hooks on all modules."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total = 0.0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        formula = flop_registry.get(func._overloadpacket)
        self.total += 0.0 if formula is None else float(formula(*args, **(kwargs or {}), out_val=out))
        return out


def _seen(model: Any, inputs: Tensor, tasks: Sequence[str], kept: int) -> list[Tensor] | None:
    """Return the predictions of the first ``kept`` samples and the gradients of their sum; None if a buffer changed."""
    buffers = [(b, b.clone()) for b in model.buffers()]
    parameters = [p for p in model.parameters() if p.requires_grad]
    try:
        with fork_rng(0, [inputs.device]), torch.enable_grad():
            predictions = list(model.decode(model.encode(inputs), tasks).values())
            if any(len(p) != len(inputs) for p in predictions):
                return None
            own = [p[:kept] for p in predictions]
            total = torch.stack([(p * _factors(p)).sum() for p in own]).sum()
            grads = torch.autograd.grad(total, parameters, allow_unused=True, materialize_grads=True)
        changed = any(not torch.equal(b, before) for b, before in buffers)
    finally:
        with torch.no_grad():
            for b, before in buffers:
                b.copy_(before)
    return None if changed else [*(p.detach() for p in own), *grads]


def _factors(values: Tensor) -> Tensor:
    """Return factors that differ from number to number, so that nothing cancels."""
    return torch.arange(1, values.numel() + 1, device=values.device).cos().to(values).view(values.shape)


def _same(a: Tensor, b: Tensor) -> bool:
    largest = float(a.abs().max()) if a.numel() else 0.0
    return a.shape == b.shape and bool(((a - b).abs() <= TOLERANCE * largest).all())
