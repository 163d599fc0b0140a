"""An image classifier from its settings: standardised uint8 images, a shared backbone, linear heads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from scalarize.utils.errors import unknown_name_error
from scalarize.workloads.models import resnet, vit
from scalarize.workloads.models.sharing.body import Body
from scalarize.workloads.models.sharing.build import share
from scalarize.workloads.models.standardise import Standardise
from scalarize.workloads.models.vit import small_vit

FULL_VIT_WIDTH = 192


def encoder(
    settings: Mapping[str, Any], image: int, mean: Sequence[float], deviation: Sequence[float]
) -> tuple[nn.Module, int]:
    """Build a backbone for uint8 images (B, 3, image, image); return it with its number of features.

    Raises RequestError for an unknown family or depth.

    Args:
        settings: ``family`` "vit" or "resnet"; ``depth`` (layers, or 18, 26, 50, 101); ``width``, a factor (of 192 for
            a ViT, such as 0.25, 0.5, 0.75, 1).
        image: side of the images in pixels.
        mean: mean of each channel, 0 to 255.
        deviation: deviation of each channel.
    """
    family, depth, width = settings["family"], settings["depth"], settings["width"]
    features = _features(settings)
    backbone = small_vit(depth, features, image) if family == "vit" else resnet.resnet(depth, width)
    return nn.Sequential(Standardise(mean, deviation), backbone), features


def _features(settings: Mapping[str, Any]) -> int:
    family, depth, width = settings["family"], settings["depth"], settings["width"]
    if family not in ("vit", "resnet"):
        raise unknown_name_error("model.family", family, ["vit", "resnet"])
    return round(FULL_VIT_WIDTH * width) if family == "vit" else resnet.features(depth, width)


def body(settings: Mapping[str, Any], image: int, mean: Sequence[float], deviation: Sequence[float]) -> Body:
    """Return the same backbone in parts; see :func:`encoder`."""
    depth, width, prepare = settings["depth"], settings["width"], Standardise(mean, deviation)
    if settings["family"] == "vit":
        return Body(prepare, vit.stages(depth, _features(settings), image), (3, image, image))
    return Body(
        prepare,
        resnet.stages(depth, width),
        (3, image, image),
        nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    )


def classifier(
    settings: Mapping[str, Any],
    outputs: Mapping[str, int],
    image: int,
    mean: Sequence[float],
    deviation: Sequence[float],
    paths: Sequence[str] | None = None,
) -> nn.Module:
    """Build the encoder, shared as ``settings`` say, with one linear layer per task (name -> outputs).

    ``paths``: names of the domains that one task is learned on, which share its head; None for several tasks.
    """
    features = _features(settings)
    return share(
        settings,
        lambda: encoder(settings, image, mean, deviation)[0],
        lambda: body(settings, image, mean, deviation),
        lambda: {name: nn.Linear(features, n) for name, n in outputs.items()},
        paths,
    )
