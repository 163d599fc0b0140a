"""Metrics of a task over a whole split. Predictions arrive batch by batch; ``compute`` answers once.

All lie between 0 and 1 with higher better, save errors, whose task says ``higher_is_better=False``.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from torch import Tensor


class Metric(Protocol):
    """Accumulates (prediction, target) batches and gives one number."""

    def update(self, prediction: Tensor, target: Tensor) -> None: ...

    def compute(self) -> float: ...


class Collected:
    """Keeps all predictions and targets (one number a sample each) for metrics of ranks."""

    def __init__(self) -> None:
        self.predictions: list[Tensor] = []
        self.targets: list[Tensor] = []

    def update(self, prediction: Tensor, target: Tensor) -> None:
        """prediction and target: (B,)."""
        self.predictions.append(prediction.detach().float().reshape(-1).cpu())
        self.targets.append(target.detach().float().reshape(-1).cpu())

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """All predictions (N,) and targets (N,) in float64."""
        return torch.cat(self.predictions).double().numpy(), torch.cat(self.targets).double().numpy()


class AUROC(Collected):
    """Area under the ROC curve of logits against 0/1 targets, ties counted half; NaN where a class is absent."""

    def compute(self) -> float:
        from scipy.stats import rankdata

        score, label = self.arrays()
        if not np.isfinite(score).all():
            return float("nan")
        positive = label > 0.5
        n_positive, n_negative = int(positive.sum()), int((~positive).sum())
        if not n_positive or not n_negative:
            return float("nan")
        ranks = rankdata(score)
        return float((ranks[positive].sum() - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))


class RankAgreement(Collected):
    """(1 + Spearman's rank correlation) / 2; one half where either side is constant."""

    def compute(self) -> float:
        from scipy.stats import rankdata

        prediction, target = self.arrays()
        if not np.isfinite(prediction).all():
            return float("nan")
        a, b = rankdata(prediction), rankdata(target)
        a, b = a - a.mean(), b - b.mean()
        scale = float(np.sqrt((a @ a) * (b @ b)))
        return 0.5 if scale == 0 else float((1 + (a @ b) / scale) / 2)


class Mean:
    """The mean of a per-sample quantity over all samples."""

    def __init__(self) -> None:
        self.total = 0.0
        self.count = 0

    def values(self, prediction: Tensor, target: Tensor) -> Tensor:
        """The quantity of each sample (or pixel) that counts."""
        raise TypeError(f"{type(self).__name__} defines no quantity")

    def update(self, prediction: Tensor, target: Tensor) -> None:
        values = self.values(prediction.detach(), target)
        self.total += float(values.double().sum())
        self.count += values.numel()

    def compute(self) -> float:
        return self.total / self.count if self.count else float("nan")


class Accuracy(Mean):
    """Share of samples whose largest logit (B, C, ...) is the target class (B, ...)."""

    def values(self, prediction: Tensor, target: Tensor) -> Tensor:
        return prediction.argmax(dim=1) == target


class BinaryAccuracy(Mean):
    """Share of samples where the sign of the logit, (B,) or (B, 1), agrees with the 0/1 target (B,)."""

    def values(self, prediction: Tensor, target: Tensor) -> Tensor:
        return (prediction.reshape(target.shape) > 0) == (target > 0.5)


class AbsoluteError(Mean):
    """Mean absolute error over all entries."""

    def values(self, prediction: Tensor, target: Tensor) -> Tensor:
        return (prediction - target).abs()
