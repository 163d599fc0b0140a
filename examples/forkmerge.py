"""ForkMerge (Jiang et al. 2023) in a loop of your own: one task matters, the others may help or harm it.

python examples/forkmerge.py

Every few epochs the model is forked into branches that train apart: one on the target alone, and for each auxiliary
task one on the target and that task. Then the branches' parameters are averaged, with the shares that the target's
validation loss asks for, and all branches go on from the average. The shares make weights of the tasks over epochs,
too: a policy, with which `scalarize.Balancer("policy", policy=...)` trains.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

import scalarize

TARGET, AUXILIARIES = "target", ("related", "noise")
TASKS = (TARGET, *AUXILIARIES)
SHARES = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]  # of the branch that is added


def problem(seed: int = 0) -> tuple[dict[str, Tensor], dict[str, Tensor], nn.Module]:
    """Inputs and targets by split: few samples, a noisy target, one task of the same signals, one of pure noise."""
    g = torch.Generator().manual_seed(seed)
    signal, mix = torch.randn(12, 3, generator=g), torch.randn(3, generator=g)
    x, y = {}, {}
    for split, rows in (("train", 60), ("validation", 200), ("test", 2000)):
        x[split] = torch.randn(rows, 12, generator=g)
        z = torch.tanh(x[split] @ signal * 0.5)
        target = z @ mix + 0.5 * torch.randn(rows, generator=g)
        y[split] = torch.stack([target, z @ mix.flip(0), 3 * torch.randn(rows, generator=g)], dim=1)
    torch.manual_seed(seed)
    return x, y, nn.Sequential(nn.Linear(12, 32), nn.ReLU(), nn.Linear(32, len(TASKS)))


def losses(model: nn.Module, x: Tensor, y: Tensor) -> dict[str, Tensor]:
    return dict(zip(TASKS, ((model(x) - y) ** 2).mean(dim=0), strict=True))


def target_loss(model: nn.Module, x: Tensor, y: Tensor) -> float:
    with torch.no_grad():
        return float(losses(model, x, y)[TARGET])


def train(model: nn.Module, optimizer: torch.optim.Optimizer, weights: list[float], x: Tensor, y: Tensor) -> None:
    """Train one branch for one epoch, here a few steps over all samples; this is where a loop of your own goes."""
    balancer = scalarize.Balancer("fixed", model.parameters(), weights=weights)
    for _ in range(10):
        optimizer.zero_grad()
        balancer.backward(losses(model, x, y))
        optimizer.step()


def average(one: nn.Module, other: nn.Module, share: float) -> nn.Module:
    """Return a model with ``1 - share`` of the parameters and buffers of one, and ``share`` of the other's."""
    merged = copy.deepcopy(one)
    mixed = {
        key: value.lerp(other.state_dict()[key], share) if value.is_floating_point() else value
        for key, value in one.state_dict().items()
    }
    merged.load_state_dict(mixed)
    return merged


def merge(branches: list[nn.Module], x: Tensor, y: Tensor) -> tuple[nn.Module, list[float]]:
    """Add the branches to the best one, best first, each with the share that lowers the target's loss most."""
    order = sorted(range(len(branches)), key=lambda b: target_loss(branches[b], x, y))
    merged, shares = branches[order[0]], [float(b == order[0]) for b in range(len(branches))]
    for b in order[1:]:
        candidates = [average(merged, branches[b], share) for share in SHARES]
        best = min(range(len(SHARES)), key=lambda k: target_loss(candidates[k], x, y))
        shares = [(1 - SHARES[best]) * s + SHARES[best] * (k == b) for k, s in enumerate(shares)]
        merged = candidates[best]
    return merged, shares


def forkmerge(epochs: int = 24, every: int = 3, seed: int = 0) -> tuple[nn.Module, scalarize.Policy]:
    """Train by forking and merging every so many epochs; return the model, and the weights that the shares make."""
    x, y, model = problem(seed)
    branch_weights = [[1.0, 0.0, 0.0]] + [[0.5, *(0.5 * (a == b) for b in AUXILIARIES)] for a in AUXILIARIES]
    schedule, state = [], torch.optim.Adam(model.parameters(), lr=0.01).state_dict()
    for start in range(0, epochs, every):
        branches, states = [copy.deepcopy(model) for _ in branch_weights], []
        for branch, weights in zip(branches, branch_weights, strict=True):
            optimizer = torch.optim.Adam(branch.parameters(), lr=0.01)
            optimizer.load_state_dict(copy.deepcopy(state))
            for _ in range(min(every, epochs - start)):
                train(branch, optimizer, weights, x["train"], y["train"])
            states.append(optimizer.state_dict())
        model, shares = merge(branches, x["validation"], y["validation"])
        state = states[shares.index(max(shares))]  # the moments of the branch that counts most
        mixed = [sum(s * w[t] for s, w in zip(shares, branch_weights, strict=True)) for t in range(len(TASKS))]
        schedule.append((start, mixed))
    return model, scalarize.Policy.from_schedule(TASKS, schedule, epochs=epochs)


def alone(weights: list[float], epochs: int = 24, seed: int = 0) -> nn.Module:
    """Train once with weights that stay."""
    x, y, model = problem(seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(epochs):
        train(model, optimizer, weights, x["train"], y["train"])
    return model


if __name__ == "__main__":
    inputs, targets, _ = problem()
    found, policy = forkmerge()
    rows = {"target alone": alone([1.0, 0.0, 0.0]), "all tasks alike": alone([1 / 3] * 3), "ForkMerge": found}
    for name, trained in rows.items():
        print(f"{name}: test loss of the target {target_loss(trained, inputs['test'], targets['test']):.3f}")
    for epoch in (0, 12, 23):
        weights = ", ".join(f"{task} {w:.2f}" for task, w in zip(TASKS, policy.weights_at(epoch), strict=True))
        print(f"weights in epoch {epoch}: {weights}")
