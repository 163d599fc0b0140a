"""Tasks whose targets are maps: classes, depth and normals, with pixels that are ignored."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from scalarize.tasks import metrics
from scalarize.tasks.task import Measure, Task

UNKNOWN = -1  # the class of a pixel that does not count


def segmentation(classes: int, name: str = "segmentation") -> Task:
    """Make a segmentation task: cross-entropy, mIoU and pixel accuracy.

    Targets are classes (B, H, W) int64, with UNKNOWN ignored; predictions are logits (B, classes, H, W).
    """

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
    """Make a depth task: mean absolute error as loss; absolute and relative error as metrics.

    Targets are maps (B, 1, H, W) above 0; pixels of 0 are ignored.
    """

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
    """Make a task of surface normals: one minus the cosine as loss; mean angle in degrees, share of angles below 11.25.

    Targets are unit vectors (B, 3, H, W); pixels of 0 are ignored.
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
