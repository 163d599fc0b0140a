"""A workload's fixture is learned by heart: so its data, model, losses and recipe fit together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from scalarize import workloads
from scalarize.tasks.samples import Batch
from scalarize.tasks.task import Data

Overfit = Callable[..., dict[str, float]]


def train(data: Data, model: Any, steps: int, lr: float, limit: int) -> dict[str, float]:
    """Fit ``limit`` evenly spaced training samples a domain at once, unaugmented; objective -> its last loss."""
    batches = {}
    for name, domain in data.domains.items():
        source = domain.splits["train"]
        batches[name] = source.batch(torch.linspace(0, len(source) - 1, min(limit, len(source))).long())
    sizes = [len(b) for b in batches.values()]
    mixed = Batch.concat(list(batches.values()))
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    losses: dict[str, torch.Tensor] = {}
    for _ in range(steps):
        predictions = model.decode(model.encode(mixed.inputs), [t.name for t in data.tasks])
        losses = {}
        for objective in data.objectives:
            place = list(batches).index(objective.domain)
            predicted = torch.split(predictions[objective.task.name], sizes)[place]
            losses[objective.name] = objective.task.loss(
                predicted, batches[objective.domain].targets[objective.task.name]
            )
        optimizer.zero_grad()
        torch.stack(list(losses.values())).mean().backward()
        optimizer.step()
    return {name: float(loss.detach()) for name, loss in losses.items()}


@pytest.fixture
def overfit() -> Overfit:
    """(workload name, data root, settings) -> every objective's training loss after ``steps`` steps."""

    def run(
        name: str, root: Path, steps: int = 60, lr: float = 3e-3, limit: int = 96, **settings: Any
    ) -> dict[str, float]:
        torch.set_num_threads(1)
        torch.manual_seed(0)
        workload = workloads.get(name)
        recipe = workload.recipe.override({k.replace("__", "."): v for k, v in settings.items()})
        data = workload.load(recipe.data, root)
        return train(data, workload.build(recipe.model, data), steps, lr, limit)

    return run
