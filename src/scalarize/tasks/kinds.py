"""The usual kinds of task: binary and multi-class classification, and regression."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from scalarize.tasks import metrics
from scalarize.tasks.task import Task


def binary(name: str, metric: Callable[[], metrics.Metric] = metrics.AUROC, metric_name: str = "auroc") -> Task:
    """Make a task with a 0/1 target: one logit, binary cross-entropy in nats.

    Args:
        name: name of the task.
        metric: makes its accumulator. Default: area under the ROC curve.
        metric_name: name of the metric. Default ``auroc``.

    Returns:
        A task with predictions (B, 1) and targets (B,), floats 0 or 1. Its constant predictor is the share of ones.

    >>> binary("smiling").metric_name
    'auroc'
    """

    def loss(prediction: Tensor, target: Tensor) -> Tensor:
        return functional.binary_cross_entropy_with_logits(prediction.reshape(target.shape), target)

    def constant(target: Tensor) -> float:
        return _entropy(torch.stack([target.double().mean(), 1 - target.double().mean()]))

    return Task(name, 1, loss, metric, metric_name, constant_loss=constant)


def multiclass(name: str, classes: int) -> Task:
    """Make a task with one of several classes as target: cross-entropy in nats, accuracy.

    Args:
        name: name of the task.
        classes: number of classes C.

    Returns:
        A task with logits (B, C) and int64 targets (B,) from 0 to C-1. Its constant predictor is the class frequencies.

    >>> multiclass("digit", 10).outputs
    10
    """

    def constant(target: Tensor) -> float:
        return _entropy(torch.bincount(target.reshape(-1), minlength=classes).double() / target.numel())

    return Task(name, classes, functional.cross_entropy, metrics.Accuracy, "accuracy", constant_loss=constant)


def regression(name: str) -> Task:
    """Make a task with a real target: mean squared error, metric (1 + Spearman's rank correlation) / 2.

    Args:
        name: name of the task.

    Returns:
        A task with predictions (B, 1) and targets (B,). Its constant predictor is the mean of the targets.

    >>> import torch
    >>> regression("age").constant_loss(torch.tensor([1.0, 3.0]))
    1.0
    """

    def loss(prediction: Tensor, target: Tensor) -> Tensor:
        return functional.mse_loss(prediction.reshape(target.shape), target)

    def constant(target: Tensor) -> float:
        return float(target.double().var(unbiased=False))

    return Task(name, 1, loss, metrics.RankAgreement, "rank-agreement", constant_loss=constant)


def _entropy(shares: Tensor) -> float:
    return float(-(shares * shares.clamp_min(1e-300).log()).sum())
