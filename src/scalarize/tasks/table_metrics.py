"""Metrics of columns of a table: errors in the units of the column, and accuracy that rare classes count in."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from scalarize.tasks.metrics import Collected


class BalancedAccuracy:
    """Mean over classes of the share of their samples that are predicted right; classes without samples do not count.

    predict: predictions -> classes (B,). Default: the largest logit of (B, C).
    """

    def __init__(self, predict: Callable[[Tensor], Tensor] | None = None) -> None:
        self.predict = predict or (lambda prediction: prediction.argmax(dim=1))
        self.right: dict[int, int] = {}
        self.all: dict[int, int] = {}

    def update(self, prediction: Tensor, target: Tensor) -> None:
        target = target.long().reshape(-1)
        right = self.predict(prediction.detach()).long().reshape(-1) == target
        for known in torch.unique(target).tolist():
            here = target == known
            self.all[known] = self.all.get(known, 0) + int(here.sum())
            self.right[known] = self.right.get(known, 0) + int(right[here].sum())

    def compute(self) -> float:
        shares = [self.right[known] / self.all[known] for known in sorted(self.all)]
        return sum(shares) / len(shares) if shares else float("nan")


class ErrorInUnits(Collected):
    """A measure of errors in the units of the target before it was prepared.

    Args:
        undo: predictions (N,) -> values (N,) in the target's own units.
        of_target: the same for prepared targets (N,).
        kind: ``r2``, 1 - squared error / squared deviation from the mean; ``mae``, the mean absolute error; or
            ``rmse``, the root of the mean squared error.

    >>> metric = ErrorInUnits(lambda y: 1000 * y, lambda y: 1000 * y, "mae")
    >>> metric.update(torch.tensor([[1.0]]), torch.tensor([1.5]))
    >>> metric.compute()
    500.0
    """

    def __init__(
        self,
        undo: Callable[[np.ndarray], np.ndarray],
        of_target: Callable[[np.ndarray], np.ndarray],
        kind: str,
    ) -> None:
        super().__init__()
        self.undo, self.of_target, self.kind = undo, of_target, kind

    def compute(self) -> float:
        prediction, target = self.arrays()
        prediction, target = self.undo(prediction), self.of_target(target)
        if not np.isfinite(prediction).all():
            return float("nan")
        error = prediction - target
        if self.kind == "mae":
            return float(np.abs(error).mean())
        if self.kind == "rmse":
            return float(np.sqrt((error**2).mean()))
        spread = float(((target - target.mean()) ** 2).sum())
        return 1 - float((error**2).sum()) / spread if spread else float("nan")
