"""Stacks of one process: functions that are written in Python, and hooks that autograd's engine calls."""

from __future__ import annotations

from typing import Any

import torch
from stacks_case import WIDTH, Case, case, encoder, heads, losses, stack, targets
from stacks_modules import inputs
from torch import Tensor, nn
from torch.autograd.graph import save_on_cpu
from torch.distributed.optim import _apply_optimizer_in_backward
from torch.utils.checkpoint import checkpoint


class Affine(torch.autograd.Function):
    """A linear map as libraries write it: what it saves may be None."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight, bias)
        return x @ weight.T if bias is None else x @ weight.T + bias

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        (g,), (x, weight, bias) = grads, ctx.saved_tensors
        return g @ weight, g.T @ x, None if bias is None else g.sum(0)


class FusedLoss(torch.autograd.Function):
    """A loss whose forward makes its gradient, which its backward scales in place, unseen by version counters."""

    @staticmethod
    def forward(ctx: Any, z: Tensor) -> Tensor:
        ctx.save_for_backward(2 * z / z.numel())
        return z.square().mean()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (made,) = ctx.saved_tensors
        made.data.mul_(grads[0])
        return made


class AffineLayer(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return Affine.apply(x, self.weight, self.bias)


def written() -> nn.Sequential:
    return nn.Sequential(AffineLayer(6, 8, bias=False), nn.Tanh(), AffineLayer(8, WIDTH))


@stack("Function that saves None")
def saves_none() -> Case:
    return case(written(), inputs())


def within(enc: nn.Module, run: Any, plain: nn.Module | None = None) -> Case:
    """The usual stack, with the encoder called by ``run``."""
    head, (y, c), x = heads(), targets(), inputs()

    def forward(through: bool = True) -> tuple[dict[str, Tensor], Tensor]:
        z = run(enc, x) if through else (plain or enc)(x)
        return losses(head, z, y, c), z

    params = [*enc.parameters(), *head.parameters()]
    return Case(params, list(enc.parameters()), forward, plain=lambda: forward(False))


@stack("Function in a checkpoint, use_reentrant=False")
def function_in_checkpoint() -> Case:
    return within(written(), lambda enc, x: checkpoint(enc, x, use_reentrant=False))


@stack("Function under save_on_cpu")
def function_on_cpu() -> Case:
    def run(enc: nn.Module, x: Tensor) -> Tensor:
        with save_on_cpu():
            found: Tensor = enc(x)
        return found

    return within(written(), run)


@stack("torch.compile (aot_eager) in a checkpoint, use_reentrant=False")
def compiled_in_checkpoint() -> Case:
    enc = encoder()
    fast = torch.compile(enc, backend="aot_eager")
    return within(enc, lambda _, x: checkpoint(fast, x, use_reentrant=False))


@stack("Function that scales in place what it saved")
def scales_in_place() -> Case:
    found = case(encoder(), inputs())
    forward = found.forward

    def fused() -> tuple[dict[str, Tensor], Any]:
        by_task, z = forward()
        return by_task | {"c": by_task["c"] + 0.5 * FusedLoss.apply(z)}, z

    found.forward = fused
    return found


@stack("loss with cached gradients: a leaf whose hook makes the backward")
def cached() -> Case:
    enc, head, (y, c), x = encoder(), heads(), targets(), inputs()

    def plain() -> tuple[dict[str, Tensor], Tensor]:
        z = enc(x)
        return losses(head, z, y, c) | {"a": z.square().mean()}, z

    def forward() -> tuple[dict[str, Tensor], Tensor]:
        by_task, z = plain()
        held = z.detach().requires_grad_()
        (g,) = torch.autograd.grad(held.square().mean(), held)
        leaf = by_task["a"].detach().requires_grad_()

        def hook(scale: Tensor) -> None:
            with torch.enable_grad():
                (scale * (enc(x) * g).sum()).backward()

        leaf.register_hook(hook)  # type: ignore[no-untyped-call]
        return by_task | {"a": leaf}, z

    return Case([*enc.parameters(), *head.parameters()], list(enc.parameters()), forward, plain=plain)


@stack("optimiser in backward (hooks of the nodes that accumulate, as torchrec's)")
def optimizer_in_nodes() -> Case:
    found = case(encoder(), inputs())
    _apply_optimizer_in_backward(torch.optim.SGD, found.parameters, {"lr": 0.1})

    class Nothing(torch.optim.SGD):
        def step(self, closure: Any = None) -> None:
            """The hooks have stepped."""

    found.optimizer = lambda params, inside: (Nothing if inside else torch.optim.SGD)(params, 0.1)
    return found
