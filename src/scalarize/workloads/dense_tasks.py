"""Tasks whose targets are maps: classes, depth and normals, with pixels that do not count."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from scalarize.tasks import metrics
from scalarize.tasks.task import Measure, Task

UNKNOWN = -1  # the class of a pixel that does not count


def segmentation(classes: int, name: str = "segmentation") -> Task:
    """Classes (B, H, W) int64, UNKNOWN left out; logits (B, classes, H, W); cross-entropy; mIoU and pixel accuracy."""

    def loss(prediction: Tensor, target: Tensor) -> Tensor:
        total = functional.cross_entropy(prediction, target, ignore_index=UNKNOWN, reduction="sum")
        return total / (target != UNKNOWN).sum().clamp_min(1)

    def constant(target: Tensor) -> float:
        shares = torch.bincount(target[target != UNKNOWN], minlength=classes).double()
        shares = shares[shares > 0] / shares.sum()
        return float(-(shares * shares.log()).sum())

    accuracy = Measure("pixel-accuracy", metrics.PixelAccuracy)
    return Task(
        name, classes, loss, lambda: metrics.MeanIoU(classes), "miou", constant_loss=constant, extra_metrics=(accuracy,)
    )


def depth(name: str = "depth") -> Task:
    """Maps (B, 1, H, W) above 0, pixels of 0 left out; mean absolute error as loss; absolute and relative error."""

    def loss(prediction: Tensor, target: Tensor) -> Tensor:
        known = target > 0
        return ((prediction - target).abs() * known).sum() / known.sum().clamp_min(1)

    def constant(target: Tensor) -> float:
        seen = target[target > 0].double()
        return float((seen - seen.median()).abs().mean())

    relative = Measure("relative-error", lambda: metrics.DepthError(relative=True), higher_is_better=False)
    return Task(
        name,
        1,
        loss,
        metrics.DepthError,
        "absolute-error",
        higher_is_better=False,
        constant_loss=constant,
        extra_metrics=(relative,),
    )


def normals(name: str = "normals") -> Task:
    """Unit vectors (B, 3, H, W), pixels of 0 left out; one minus the cosine as loss; mean angle in degrees, and the
    share of angles below 11.25 degrees.
    """

    def loss(prediction: Tensor, target: Tensor) -> Tensor:
        known = (target != 0).any(dim=1)
        cosine = functional.cosine_similarity(prediction, target, dim=1)
        return ((1 - cosine) * known).sum() / known.sum().clamp_min(1)

    def constant(target: Tensor) -> float:
        known = target.movedim(1, -1)[(target != 0).any(dim=1)].double()
        return 1 - float(torch.linalg.vector_norm(functional.normalize(known, dim=1).mean(0)))

    near = Measure("within-11.25", lambda: metrics.AngularError(within=11.25))
    return Task(
        name,
        3,
        loss,
        metrics.AngularError,
        "mean-angle",
        higher_is_better=False,
        constant_loss=constant,
        extra_metrics=(near,),
    )
