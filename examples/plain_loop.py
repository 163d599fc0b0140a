"""A plain PyTorch loop on two tasks, with three lines changed: 1, 2 and 3. They are the same for every method.

python examples/plain_loop.py [METHOD]
"""

from __future__ import annotations

import sys
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

import scalarize

LOSS = {"slope": functional.mse_loss, "side": functional.binary_cross_entropy_with_logits}


def problem() -> tuple[Tensor, dict[str, Tensor], nn.Module, nn.ModuleDict]:
    """Inputs (256, 8), a target (256, 1) a task, a shared encoder, and a head a task."""
    torch.manual_seed(0)
    x = torch.randn(256, 8)
    latent = torch.tanh(x @ torch.randn(8, 4))
    target = {"slope": latent @ torch.randn(4, 1), "side": (latent @ torch.randn(4, 1) > 0).to(x.dtype)}
    encoder = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU())
    return x, target, encoder, nn.ModuleDict({task: nn.Linear(16, 1) for task in LOSS})


def train(method: str = "cagrad", steps: int = 80, **options: Any) -> dict[str, list[float]]:
    """Each task's loss at every step; ``options`` are the Balancer's, and the method's hyper-parameters."""
    x, target, encoder, heads = problem()
    optimizer = torch.optim.Adam([*encoder.parameters(), *heads.parameters()], lr=0.01)
    # 1. where the weights come from; every step sees all samples, so that it is an epoch (some methods count them)
    balancer = scalarize.Balancer(method, shared=encoder.parameters(), steps_per_epoch=1, **options)

    history: dict[str, list[float]] = {task: [] for task in LOSS}
    for _ in range(steps):
        optimizer.zero_grad()
        z = encoder(x)
        losses = {task: LOSS[task](heads[task](z), target[task]) for task in LOSS}  # 2. the losses by name
        balancer.backward(losses)  # 3. in place of sum(losses.values()).backward()
        optimizer.step()
        for task, value in losses.items():
            history[task].append(value.item())
    return history


if __name__ == "__main__":
    for task, course in train(*sys.argv[1:2]).items():
        print(f"{task}: loss {course[0]:.3f} -> {course[-1]:.3f}")
