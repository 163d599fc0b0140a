"""A small model, its data, and a training by hand with the reference's gradients, which other loops must equal."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import stacks_reference as reference
import torch
from stacks_case import TASKS, encoder, heads, losses
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import scalarize

ROWS = 8  # of a batch, in each process
RATE = 0.1
LEARNED_RATE = 0.025  # the Balancer's for what a method learns
Batch = dict[str, Tensor]


class Net(nn.Module):
    """An encoder and three heads, whose outputs hold losses by task and the representation."""

    supports_gradient_checkpointing = True

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.enc, self.heads, self.checkpointing = encoder(), heads(), False

    def gradient_checkpointing_enable(self, **_: Any) -> None:
        """Called by the Trainer."""
        self.checkpointing = True

    def forward(self, x: Tensor, y: Tensor, c: Tensor) -> dict[str, Any]:
        dtype = next(self.parameters()).dtype
        x = x.to(dtype)
        z = checkpoint(self.enc, x, use_reentrant=False) if self.checkpointing else self.enc(x)
        by_task = losses(self.heads, z, y, c)
        return {"loss": torch.stack(list(by_task.values())).sum(), "losses": by_task, "representation": z}


def batches(number: int, world: int = 1) -> list[Batch]:
    """Batches of all processes together."""
    draw, rows = torch.Generator().manual_seed(1), ROWS * world
    return [
        {
            "x": torch.randn(rows, 6, generator=draw),
            "y": torch.randn(rows, 1, generator=draw),
            "c": torch.randint(0, 3, (rows,), generator=draw),
        }
        for _ in range(number)
    ]


def by_hand(
    method: str,
    level: str,
    windows: list[list[Batch]],
    *,
    optimizer: Callable[[list[Tensor]], torch.optim.Optimizer] = lambda p: torch.optim.SGD(p, RATE),
    context: Callable[[], contextlib.AbstractContextManager[Any]] = contextlib.nullcontext,
    clip: float | None = None,
    full: bool = False,
    dtype: torch.dtype = torch.float32,
) -> list[Tensor]:
    """The parameters after one step a window of batches.

    Each batch of a window is combined on its own, its losses divided by the window's number of batches; ``full``: the
    accumulated gradients of the window's tasks are combined once.
    """
    net, way = Net().to(dtype), scalarize.methods.create(method)
    way.ensure(len(TASKS))
    params, generator = list(net.parameters()), torch.Generator().manual_seed(0)
    optim = optimizer(params)
    learned = torch.optim.Adam(way.parameters(), LEARNED_RATE) if way.learned else None
    for window in windows:
        summed: dict[int, Tensor] = {}
        for group in [window] if full else [[b] for b in window]:

            def forward(group: list[Batch] = group, number: int = len(window)) -> tuple[dict[str, Tensor], Tensor]:
                total: dict[str, Any] = {}
                for batch in group:
                    with context():
                        out = net(**batch)
                    total = {t: total.get(t, 0) + v / number for t, v in out["losses"].items()}
                return total, out["representation"]

            want = reference.expected(forward, net.enc.parameters(), params, way, level, generator)
            for p in params:
                if (g := want[id(p)]) is not None:
                    summed[id(p)] = summed.get(id(p), 0) + g
        for p in params:
            p.grad = summed[id(p)].to(p) if id(p) in summed else None
        if clip is not None:
            nn.utils.clip_grad_norm_(params, clip)
        optim.step()
        if learned is not None:
            learned.step()
            learned.zero_grad()
    if hasattr(optim, "eval"):
        optim.eval()
    return [p.detach().clone() for p in params]


def off(net: nn.Module, want: list[Tensor]) -> float:
    """The error of the way that the parameters of ``net`` went, relative to the way of the hand-made training."""
    start = [p.detach().to(w) for p, w in zip(Net().parameters(), want, strict=True)]
    return reference.relative([p.detach() for p in net.parameters()], want, start)
