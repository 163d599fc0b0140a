"""Changes of a data set in memory, one a dose of results/when_search_pays.py; what is trained on changes, and what
decides (validation), as it would for a user; the test split never does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from scalarize.tasks.samples import Source, TensorTable
from scalarize.tasks.task import Data, Domain, Objective

SEEN = ("train", "validation")  # the splits of which a user of such data would have no more, or no better
LEAST = 12  # labels or samples that are left at least, so that each split can be measured
SourceChange = Callable[[Any, torch.Generator], Source]
Change = Callable[[Data, str, float, int], Data]  # (data, objective, level, seed of the draw)


def _objective(data: Data, name: str) -> Objective:
    return next(o for o in data.objectives if o.name == name)


def _in_domain(data: Data, domain: str, seed: int, changes: Mapping[str, SourceChange]) -> Data:
    """Change the splits of a domain that ``changes`` names, each with its own draw."""
    splits = dict(data.domains[domain].splits)
    for number, (split, change) in enumerate(changes.items()):
        splits[split] = change(splits[split], torch.Generator().manual_seed(1000 * seed + number))
    changed = Domain(domain, splits, data.domains[domain].augment)
    return replace(data, domains=dict(data.domains) | {domain: changed})


def _number(level: float, size: int, train: int) -> int:
    """Return a share (at most 1) of ``size``, or of ``train`` a number and of other splits the same share of it."""
    share = level if level <= 1 else min(1.0, level / train)
    return min(size, max(LEAST, round(share * size)))


def scale_loss(data: Data, name: str, level: float, seed: int) -> Data:
    """Multiply the loss of one task by ``level``, as another unit of its target would."""
    old = _objective(data, name).task
    constant = old.constant_loss
    assert constant is not None
    task = replace(
        old, loss=lambda p, t: level * old.loss(p, t), constant_loss=lambda targets: level * constant(targets)
    )
    return replace(data, objectives=tuple(replace(o, task=task) if o.name == name else o for o in data.objectives))


def keep_labels(data: Data, name: str, level: float, seed: int) -> Data:
    """Keep the labels of one task on a share of the rows, or on so many of the training rows."""
    objective = _objective(data, name)
    train = len(data.domains[objective.domain].splits["train"])

    def change(table: TensorTable, generator: torch.Generator) -> TensorTable:
        mask = torch.zeros(len(table), dtype=torch.bool)
        mask[_drawn(table, _number(level, len(table), train), generator)] = True
        return replace(table, labelled=dict(table.labelled or {}) | {objective.task.name: mask})

    return _in_domain(data, objective.domain, seed, dict.fromkeys(SEEN, change))


def keep_samples(data: Data, name: str, level: float, seed: int) -> Data:
    """Keep a share of the samples of one domain, or so many of its training samples; epochs stay as long."""
    domain = _objective(data, name).domain
    train = len(data.domains[domain].splits["train"])

    def change(table: Source, generator: torch.Generator) -> Source:
        return table.select(_drawn(table, _number(level, len(table), train), generator).sort().values)

    return _in_domain(data, domain, seed, dict.fromkeys(SEEN, change))


def mix_labels(data: Data, name: str, level: float, seed: int) -> Data:
    """Exchange the labels of a share of the rows among each other, of one task or domain."""
    objective = _objective(data, name)

    def change(table: TensorTable, generator: torch.Generator) -> TensorTable:
        rows = _drawn(table, round(level * len(table)), generator)
        targets = table.targets[objective.task.name].clone()
        targets[rows] = targets[rows[torch.randperm(len(rows), generator=generator)]]
        return replace(table, targets=dict(table.targets) | {objective.task.name: targets})

    return _in_domain(data, objective.domain, seed, dict.fromkeys(SEEN, change))


def train_longer(data: Data, name: str, level: float, seed: int) -> Data:
    """Make an epoch ``level`` twelfths of a pass over the data: 12 epochs are ``level`` passes."""
    return replace(data, epoch_size=max(1, round(data.epoch_size * level / 12)))


def leave(data: Data, name: str, level: float, seed: int) -> Data:
    """Change nothing: the level is a setting."""
    return data


def _drawn(table: Source, count: int, generator: torch.Generator) -> Tensor:
    """Draw ``count`` rows at random; a larger count holds those of a smaller one."""
    return torch.randperm(len(table), generator=generator)[:count]


def counts(data: Data) -> dict[str, int]:
    """Return the number of labelled training samples of each objective."""
    found = {}
    for o in data.objectives:
        source = data.domains[o.domain].splits["train"]
        mask = (getattr(source, "labelled", None) or {}).get(o.task.name)
        found[o.name] = len(source) if mask is None else int(mask.sum())
    return found
