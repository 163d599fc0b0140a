"""Metrics of a task over a whole split. Predictions arrive batch by batch; ``compute`` answers once.

All lie between 0 and 1 with higher better, save errors, whose task says ``higher_is_better=False``.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor


class Metric(Protocol):
    """Accumulates (prediction, target) batches and gives one number."""

    def update(self, prediction: Tensor, target: Tensor) -> None: ...

    def compute(self) -> float: ...


@runtime_checkable
class Generative(Protocol):
    """A metric of what a model produces freely: it is shown the model and its inputs in place of predictions."""

    def generate(self, model: Any, inputs: Any, target: Tensor) -> None: ...

    def compute(self) -> float: ...


def ranks_of(values: np.ndarray) -> np.ndarray:
    """1 for the least of ``values`` (N,), N for the largest; equal ones share the mean of their ranks."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    means: np.ndarray = np.cumsum(counts) - (counts - 1) / 2
    return means[place]


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
        score, label = self.arrays()
        if not np.isfinite(score).all():
            return float("nan")
        positive = label > 0.5
        n_positive, n_negative = int(positive.sum()), int((~positive).sum())
        if not n_positive or not n_negative:
            return float("nan")
        ranks = ranks_of(score)
        return float((ranks[positive].sum() - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))


class RankAgreement(Collected):
    """(1 + Spearman's rank correlation) / 2; one half where either side is constant."""

    def compute(self) -> float:
        prediction, target = self.arrays()
        if not np.isfinite(prediction).all():
            return float("nan")
        a, b = ranks_of(prediction), ranks_of(target)
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


class PixelAccuracy(Mean):
    """Share of pixels whose largest logit (B, C, H, W) is the target class (B, H, W); negative classes do not count."""

    def values(self, prediction: Tensor, target: Tensor) -> Tensor:
        return (prediction.argmax(dim=1) == target)[target >= 0]


class MeanIoU:
    """Mean over classes of intersection over union, from the pixels of the whole split; negative classes are left out.

    logits (B, classes, H, W), targets (B, H, W). A class that is neither predicted nor there does not count.
    """

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self.counts = torch.zeros(classes, classes, dtype=torch.int64)  # target x prediction

    def update(self, prediction: Tensor, target: Tensor) -> None:
        known = target >= 0
        pairs = self.classes * target[known] + prediction.detach().argmax(dim=1)[known]
        self.counts += torch.bincount(pairs, minlength=self.classes**2).cpu().reshape(self.counts.shape)

    def compute(self) -> float:
        both = self.counts.diagonal().double()
        union = self.counts.sum(0) + self.counts.sum(1) - both
        shares = both[union > 0] / union[union > 0]
        return float(shares.mean()) if len(shares) else float("nan")


class BinaryAccuracy(Mean):
    """Share of samples where the sign of the logit, (B,) or (B, 1), agrees with the 0/1 target (B,)."""

    def values(self, prediction: Tensor, target: Tensor) -> Tensor:
        return (prediction.reshape(target.shape) > 0) == (target > 0.5)


class AbsoluteError(Mean):
    """Mean absolute error over all entries."""

    def values(self, prediction: Tensor, target: Tensor) -> Tensor:
        return (prediction - target).abs()


class DepthError(Mean):
    """Mean absolute error over the pixels whose target is above 0; relative: divided by the target. (B, 1, H, W)."""

    def __init__(self, relative: bool = False) -> None:
        super().__init__()
        self.relative = relative

    def values(self, prediction: Tensor, target: Tensor) -> Tensor:
        known = target > 0
        error = (prediction[known] - target[known]).abs()
        return error / target[known] if self.relative else error


class AngularError(Mean):
    """Mean angle in degrees between vectors (B, 3, H, W) and unit targets; pixels whose target is 0 are left out.

    within: in place of the mean, the share of angles below so many degrees.
    """

    def __init__(self, within: float | None = None) -> None:
        super().__init__()
        self.within = within

    def values(self, prediction: Tensor, target: Tensor) -> Tensor:
        cosine = torch.nn.functional.cosine_similarity(prediction.double(), target.double(), dim=1)
        angle = torch.rad2deg(torch.acos(cosine.clamp(-1, 1)))[(target != 0).any(dim=1)]
        return angle if self.within is None else angle < self.within
