"""The optimiser that a recipe asks for, from torch."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from scalarize.learners.recipe import OptimizerRecipe


def make_optimizer(
    recipe: OptimizerRecipe, model: Iterable[torch.nn.Parameter], learned: Iterable[torch.nn.Parameter]
) -> torch.optim.Optimizer:
    """Make one optimiser over the model's parameters and the method's learned ones (those without weight decay)."""
    groups = [{"params": list(model)}]
    method = list(learned)
    if method:
        groups.append({"params": method, "weight_decay": 0.0})  # type: ignore[dict-item]
    if recipe.name == "sgd":
        return torch.optim.SGD(groups, recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay)
    kind = torch.optim.AdamW if recipe.name == "adamw" else torch.optim.Adam
    return kind(groups, recipe.lr, betas=recipe.betas, weight_decay=recipe.weight_decay, fused=True)
