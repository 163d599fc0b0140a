"""A plain PyTorch loop on two tasks, with three lines changed: 1, 2 and 3.

python examples/plain_loop.py [METHOD]
"""

from __future__ import annotations

import sys

import torch
from torch import nn
from torch.nn import functional

import scalarize


def train(method: str = "cagrad", steps: int = 80) -> dict[str, list[float]]:
    """Each task's loss at every step."""
    torch.manual_seed(0)
    x = torch.randn(256, 8)
    latent = torch.tanh(x @ torch.randn(8, 4))
    target = {"slope": latent @ torch.randn(4, 1), "side": (latent @ torch.randn(4, 1) > 0).float()}
    loss = {"slope": functional.mse_loss, "side": functional.binary_cross_entropy_with_logits}

    encoder = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU())
    heads = nn.ModuleDict({task: nn.Linear(16, 1) for task in loss})
    optimizer = torch.optim.Adam([*encoder.parameters(), *heads.parameters()], lr=0.01)
    balancer = scalarize.Balancer(method, shared=encoder.parameters())  # 1. where the weights come from

    history: dict[str, list[float]] = {task: [] for task in loss}
    for _ in range(steps):
        optimizer.zero_grad()
        z = encoder(x)
        losses = {task: loss[task](heads[task](z), target[task]) for task in loss}  # 2. the losses by name
        balancer.backward(losses)  # 3. in place of sum(losses.values()).backward()
        optimizer.step()
        for task, value in losses.items():
            history[task].append(value.item())
    return history


if __name__ == "__main__":
    for task, course in train(*sys.argv[1:2]).items():
        print(f"{task}: loss {course[0]:.3f} -> {course[-1]:.3f}")
