"""An aggregator of TorchJD as a method: in your own loop, or anything else that takes one.

pip install torchjd; python examples/torchjd_aggregator.py
"""

from __future__ import annotations

import torch
from torch import nn
from torchjd.aggregation import UPGrad

import scalarize


def train(steps: int = 60) -> tuple[list[float], list[float]]:
    """Both losses of a network that fits two targets, one of them a hundred times as large."""
    torch.manual_seed(0)
    x = torch.randn(128, 6)
    targets = {"small": torch.sin(x @ torch.randn(6, 1)), "large": 10 * torch.cos(x @ torch.randn(6, 1))}
    encoder = nn.Sequential(nn.Linear(6, 32), nn.Tanh())
    heads = nn.ModuleDict({task: nn.Linear(32, 1) for task in targets})
    optimizer = torch.optim.Adam([*encoder.parameters(), *heads.parameters()], lr=0.02)
    balancer = scalarize.Balancer(scalarize.methods.from_torchjd(UPGrad()), shared=encoder.parameters())
    course: dict[str, list[float]] = {task: [] for task in targets}
    for _ in range(steps):
        optimizer.zero_grad()
        z = encoder(x)
        losses = {task: nn.functional.mse_loss(heads[task](z), y) for task, y in targets.items()}
        used = balancer.backward(losses)
        optimizer.step()
        for task, loss in losses.items():
            course[task].append(loss.item())
    assert used.weights is not None  # an aggregator that is a function of the Gramian tells its weights
    return course["small"], course["large"]


if __name__ == "__main__":
    for task, course in zip(("small", "large"), train(), strict=True):
        print(f"{task}: loss {course[0]:.3f} -> {course[-1]:.3f}")
