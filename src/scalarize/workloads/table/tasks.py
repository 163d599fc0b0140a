"""Tasks of target columns: the loss that each kind is trained by, and the metrics in the units of the table."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from scalarize.tasks import kinds, metrics
from scalarize.tasks.table_metrics import BalancedAccuracy, ErrorInUnits
from scalarize.tasks.task import Measure, Task
from scalarize.utils.errors import unknown_name_error
from scalarize.workloads.table.targets import Target

Loss = Callable[[Any, Tensor], Tensor]


def task_of(target: Target) -> Task:
    """Make the task of a fitted target.

    Its own metric is the rank agreement of numbers, the area under the ROC curve of two classes, or the accuracy,
    unless the user chose another. The others that suit the kind are recorded beside it.

    Raises:
        RequestError: the metric asked for is unknown, or does not suit the kind.
    """
    made = {
        "binary": lambda: kinds.binary(target.name),
        "classes": lambda: kinds.multiclass(target.name, len(target.classes)),
        "ordinal": lambda: kinds.ordinal(target.name, len(target.classes)),
        "count": lambda: kinds.count(target.name),
        "huber": lambda: kinds.huber(target.name),
    }.get(target.kind, lambda: kinds.regression(target.name))()
    suited = _metrics(target)
    name = target.metric or made.metric_name
    if name not in suited:
        raise unknown_name_error("metric", name, suited, where=f" of target {target.name!r} ({target.words()})")
    beside = tuple(Measure(key, suited[key].metric, suited[key].higher_is_better) for key in suited if key != name)
    made = replace(
        made,
        loss=over_members(made.loss),
        metric=suited[name].metric,  # type: ignore[arg-type]  # none of these writes freely
        metric_name=name,
        higher_is_better=suited[name].higher_is_better,
        extra_metrics=beside,
    )
    return _balanced(made, target) if target.balanced and target.kind in ("binary", "classes") else made


def over_members(loss: Loss) -> Loss:
    """Return the mean of ``loss`` over the members of an ensemble, whose predictions have the shape (B, k, outputs)."""

    def mean(prediction: Tensor, target: Tensor) -> Tensor:
        if prediction.dim() <= 2:
            return loss(prediction, target)
        return loss(prediction.flatten(0, 1), target.repeat_interleave(prediction.shape[1], dim=0))

    return mean


def _metrics(target: Target) -> dict[str, Measure]:
    """Return the metrics that suit a target, by name; the first is the kind's own."""
    if target.kind == "binary":
        half = BalancedAccuracy(lambda prediction: prediction.reshape(-1) > 0).predict
        found = [
            Measure("auroc", metrics.AUROC),
            Measure("accuracy", metrics.BinaryAccuracy),
            Measure("balanced-accuracy", lambda: BalancedAccuracy(half)),
        ]
    elif target.kind == "classes":
        found = [Measure("accuracy", metrics.Accuracy), Measure("balanced-accuracy", BalancedAccuracy)]
    elif target.kind == "ordinal":
        found = [
            Measure("accuracy", metrics.OrdinalAccuracy),
            Measure("balanced-accuracy", lambda: BalancedAccuracy(lambda prediction: (prediction > 0).sum(dim=1))),
        ]
    else:
        found = [
            Measure("rank-agreement", metrics.RankAgreement),
            Measure("r2", lambda: ErrorInUnits(target.undo, target.undo_target, "r2")),
            Measure("mae", lambda: ErrorInUnits(target.undo, target.undo_target, "mae"), higher_is_better=False),
            Measure("rmse", lambda: ErrorInUnits(target.undo, target.undo_target, "rmse"), higher_is_better=False),
        ]
    return {measure.name: measure for measure in found}


def _balanced(task: Task, target: Target) -> Task:
    """Return the task with a loss in which every class weighs the same: samples of class c by 1 / (C f_c)."""
    shares = torch.tensor(target.frequencies, dtype=torch.float64).clamp_min(1e-12)
    weights = 1 / (len(shares) * shares)

    def loss(prediction: Tensor, label: Tensor) -> Tensor:
        each = weights.to(prediction.device, prediction.dtype)
        if target.kind == "classes":
            return (functional.cross_entropy(prediction, label, reduction="none") * each[label]).mean()
        logits = prediction.reshape(label.shape)
        own = functional.binary_cross_entropy_with_logits(logits, label, reduction="none")
        return (own * each[label.long()]).mean()

    def constant(label: Tensor) -> float:
        seen = torch.bincount(label.long().reshape(-1), minlength=len(shares)).double() * weights / label.numel()
        total = float(seen.sum())
        return float(-(seen * (seen / total).clamp_min(1e-300).log()).sum()) if total else math.nan

    return replace(task, loss=over_members(loss), constant_loss=constant)
