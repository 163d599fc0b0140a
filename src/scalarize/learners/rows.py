"""Tidy rows of the measurements of a training: {step, epoch, split, domain, task, metric, value}. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from scalarize.tasks.task import Objective

Row = dict[str, Any]


def tidy(
    objectives: Sequence[Objective], step: int, epoch: int, split: str, metric: str, values: Sequence[float]
) -> list[Row]:
    """Return one row per objective; none if the value is NaN (a domain that was not drawn)."""
    return [
        {"step": step, "epoch": epoch, "split": split, "domain": o.domain, "task": o.name}
        | {"metric": metric, "value": value}
        for o, value in zip(objectives, values, strict=True)
        if not math.isnan(value)
    ]


def measured(
    objectives: Sequence[Objective], step: int, epoch: int, split: str, seen: Mapping[str, Mapping[str, float]]
) -> list[Row]:
    """Return each objective's metrics under their own names, and its loss, from ``evaluation.measure``."""
    rows = []
    for o in objectives:
        row = {"step": step, "epoch": epoch, "split": split, "domain": o.domain, "task": o.name}
        rows += [row | {"metric": o.task.metric_name, "value": seen[o.name]["metric"]}]
        rows += [
            row | {"metric": m.name, "value": seen[o.name][m.name]}
            for m in o.task.extra_metrics
            if m.name in seen[o.name]
        ]
        rows += [row | {"metric": "loss", "value": seen[o.name]["loss"]}]
    return rows


def epoch_rows(
    objectives: Sequence[Objective], first: int, epoch: int, losses: Sequence[Tensor], weights: Sequence[Tensor | None]
) -> list[Row]:
    """Return an epoch's mean training losses, and its weights at each change: a row holds until the next.

    first: number of the epoch's first step; losses and weights: a tensor (T,) a step, None if a method combines
    gradients without weights. A weight of NaN, of a task without a loss in a batch, is no change.
    """
    rows, held = [], None
    for offset, used in enumerate(weights):
        now = used if used is None or held is None else torch.where(used.isnan(), held, used)
        if used is not None and now is not None and (held is None or not _same(now, held)):
            rows += tidy(objectives, first + offset, epoch, "train", "weight", used.tolist())
            held = now
    means = torch.stack(list(losses)).nanmean(0).tolist()
    return rows + tidy(objectives, first + len(losses), epoch + 1, "train", "loss", means)


def _same(a: Tensor, b: Tensor) -> bool:
    return torch.equal(a.nan_to_num(), b.nan_to_num()) and torch.equal(a.isnan(), b.isnan())
