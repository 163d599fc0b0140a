"""Metrics of a task over a whole split: ``update`` takes one batch of predictions at a time, ``compute`` gives a
number.

All metrics lie between 0 and 1, higher is better, except errors, whose task says ``higher_is_better=False``.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor


class Metric(Protocol):
    """An accumulator of batches of predictions and targets, which gives one number in the end."""

    def update(self, prediction: Tensor, target: Tensor) -> None:
        """Add one batch of predictions and targets."""

    def compute(self) -> float:
        """Return the metric over all batches so far."""


@runtime_checkable
class Generative(Protocol):
    """A metric of free generation: it is given the model and its inputs instead of predictions."""

    def generate(self, model: Any, inputs: Any, target: Tensor) -> None:
        """Add one batch: let ``model`` generate from ``inputs`` and compare with ``target``."""

    def compute(self) -> float:
        """Return the metric over all batches so far."""


def ranks_of(values: np.ndarray) -> np.ndarray:
    """Return the ranks of ``values`` (N,), from 1 for the smallest to N; equal values share the mean of their ranks."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    means: np.ndarray = np.cumsum(counts) - (counts - 1) / 2
    return means[place]


class Collected:
    """Base of metrics of ranks: keeps all predictions and targets, one number per sample."""

    def __init__(self) -> None:
        self.predictions: list[Tensor] = []
        self.targets: list[Tensor] = []

    def update(self, prediction: Tensor, target: Tensor) -> None:
        """Add predictions (B,) and targets (B,)."""
        self.predictions.append(prediction.detach().float().reshape(-1).cpu())
        self.targets.append(target.detach().float().reshape(-1).cpu())

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Return all predictions (N,) and targets (N,) in float64."""
        return torch.cat(self.predictions).double().numpy(), torch.cat(self.targets).double().numpy()


class AUROC(Collected):
    """Area under the ROC curve of logits against 0/1 targets; ties count half. NaN if a class is absent."""

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
    """(1 + Spearman's rank correlation) / 2; 0.5 if predictions or targets are constant."""

    def compute(self) -> float:
        prediction, target = self.arrays()
        if not np.isfinite(prediction).all():
            return float("nan")
        a, b = ranks_of(prediction), ranks_of(target)
        a, b = a - a.mean(), b - b.mean()
        scale = float(np.sqrt((a @ a) * (b @ b)))
        return 0.5 if scale == 0 else float((1 + (a @ b) / scale) / 2)


class Mean:
    """Mean of a quantity over all samples (or pixels)."""

    def __init__(self) -> None:
        self.total = 0.0
        self.count = 0

    def values(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Return the quantity for each sample (or pixel) that counts."""
        raise TypeError(f"{type(self).__name__} defines no quantity")

    def update(self, prediction: Tensor, target: Tensor) -> None:
        values = self.values(prediction.detach(), target)
        self.total += float(values.double().sum())
        self.count += values.numel()

    def compute(self) -> float:
        return self.total / self.count if self.count else float("nan")


class Accuracy(Mean):
    """Share of samples whose largest logit, (B, C, ...), is that of the target class, (B, ...)."""

    def values(self, prediction: Tensor, target: Tensor) -> Tensor:
        return prediction.argmax(dim=1) == target


class PixelAccuracy(Mean):
    """Share of pixels whose largest logit, (B, C, H, W), is that of the target class, (B, H, W); negative classes are
    ignored.
    """

    def values(self, prediction: Tensor, target: Tensor) -> Tensor:
        return (prediction.argmax(dim=1) == target)[target >= 0]


class MeanIoU:
    """Intersection over union from the pixels of the whole split, averaged over classes; negative classes are ignored.

    Logits (B, C, H, W), targets (B, H, W). A class that is neither predicted nor present does not count.
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
    """Share of samples whose logit, (B,) or (B, 1), has the sign of the 0/1 target, (B,)."""

    def values(self, prediction: Tensor, target: Tensor) -> Tensor:
        return (prediction.reshape(target.shape) > 0) == (target > 0.5)


class OrdinalAccuracy(Mean):
    """Share of samples whose number of positive logits, (B, C-1), is their class, (B,)."""

    def values(self, prediction: Tensor, target: Tensor) -> Tensor:
        return (prediction > 0).sum(dim=1) == target


class AbsoluteError(Mean):
    """Mean absolute error over all entries."""

    def values(self, prediction: Tensor, target: Tensor) -> Tensor:
        return (prediction - target).abs()


class DepthError(Mean):
    """Mean absolute error over the pixels (B, 1, H, W) with target above 0, ``relative`` to the target or not."""

    def __init__(self, relative: bool = False) -> None:
        super().__init__()
        self.relative = relative

    def values(self, prediction: Tensor, target: Tensor) -> Tensor:
        known = target > 0
        error = (prediction[known] - target[known]).abs()
        return error / target[known] if self.relative else error


class AngularError(Mean):
    """Mean angle in degrees between vectors (B, 3, H, W) and unit targets; pixels whose target is 0 are ignored.

    ``within``: compute the share of angles below this many degrees instead.
    """

    def __init__(self, within: float | None = None) -> None:
        super().__init__()
        self.within = within

    def values(self, prediction: Tensor, target: Tensor) -> Tensor:
        cosine = torch.nn.functional.cosine_similarity(prediction.double(), target.double(), dim=1)
        angle = torch.rad2deg(torch.acos(cosine.clamp(-1, 1)))[(target != 0).any(dim=1)]
        return angle if self.within is None else angle < self.within
