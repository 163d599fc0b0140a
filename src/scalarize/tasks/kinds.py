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


def huber(name: str, width: float = 1.0) -> Task:
    """Make a task with a real target: Huber's loss, quadratic up to an error of ``width`` and linear beyond (Huber
    1964), with the metric of :func:`regression`.

    Args:
        name: name of the task.
        width: error beyond which the loss is linear, in units of the target. Default 1.

    Returns:
        A task with predictions (B, 1) and targets (B,). Its constant predictor is the median of the targets, near the
        best one.

    >>> import torch
    >>> float(huber("price").loss(torch.tensor([[3.0]]), torch.tensor([0.0])))
    2.5
    """

    def loss(prediction: Tensor, target: Tensor) -> Tensor:
        return functional.huber_loss(prediction.reshape(target.shape), target, delta=width)

    def constant(target: Tensor) -> float:
        return float(functional.huber_loss(target.double().median().expand(target.shape), target.double(), delta=width))

    return Task(name, 1, loss, metrics.RankAgreement, "rank-agreement", constant_loss=constant)


def count(name: str) -> Task:
    """Make a task whose target is a count, or another rate >= 0: Poisson likelihood with a log link.

    The loss is exp(z) - y z, with its smallest value taken off, so that it is 0 if the rate exp(z) equals the target y.

    Args:
        name: name of the task.

    Returns:
        A task with log rates (B, 1) and targets >= 0 (B,). Its constant predictor is the mean of the targets.

    >>> import torch
    >>> float(count("visits").loss(torch.tensor([[0.0]]), torch.tensor([1.0])))
    0.0
    """

    def loss(prediction: Tensor, target: Tensor) -> Tensor:
        log_rate = prediction.reshape(target.shape)
        least = target - torch.special.xlogy(target, target)
        each: Tensor = log_rate.exp() - target * log_rate - least
        return each.mean()

    def constant(target: Tensor) -> float:
        mean = target.double().mean().clamp_min(1e-300)
        return float(loss(mean.log().expand(target.shape), target.double()))

    return Task(name, 1, loss, metrics.RankAgreement, "rank-agreement", constant_loss=constant)


def ordinal(name: str, classes: int) -> Task:
    """Make a task with one of several ordered classes as target: cumulative logits (McCullagh 1980, without the shared
    slope), accuracy.

    Args:
        name: name of the task.
        classes: number of classes C, in their order.

    Returns:
        A task with logits (B, C-1), the k-th of "above class k", and int64 targets (B,) from 0 to C-1. The predicted
        class is the number of positive logits. Its constant predictor is the shares of "above class k".

    >>> ordinal("stars", 5).outputs
    4
    """

    def above(target: Tensor) -> Tensor:
        return (target.reshape(-1, 1) > torch.arange(classes - 1, device=target.device)).double()

    def loss(prediction: Tensor, target: Tensor) -> Tensor:
        return functional.binary_cross_entropy_with_logits(prediction, above(target).to(prediction.dtype))

    def constant(target: Tensor) -> float:
        shares = above(target).mean(0)
        return sum(_entropy(torch.stack([share, 1 - share])) for share in shares) / (classes - 1)

    return Task(name, classes - 1, loss, metrics.OrdinalAccuracy, "accuracy", constant_loss=constant)


def _entropy(shares: Tensor) -> float:
    return float(-(shares * shares.clamp_min(1e-300).log()).sum())
