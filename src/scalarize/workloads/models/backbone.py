"""An image classifier from its settings: standardised uint8 images, a shared backbone, linear heads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from scalarize.utils.errors import unknown_name_error
from scalarize.workloads.models import resnet
from scalarize.workloads.models.multihead import MultiHead, SharedHead
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
    if family == "vit":
        features = round(FULL_VIT_WIDTH * width)
        backbone = small_vit(depth, features, image)
    elif family == "resnet":
        features = resnet.features(depth, width)
        backbone = resnet.resnet(depth, width)
    else:
        raise unknown_name_error("model.family", family, ["vit", "resnet"])
    return nn.Sequential(Standardise(mean, deviation), backbone), features


def classifier(
    settings: Mapping[str, Any],
    outputs: Mapping[str, int],
    image: int,
    mean: Sequence[float],
    deviation: Sequence[float],
    shared_head: bool = False,
) -> MultiHead:
    """Build the encoder with one linear layer per task (name -> outputs); ``shared_head``: domains share all of it."""
    body, features = encoder(settings, image, mean, deviation)
    kind = SharedHead if shared_head else MultiHead
    return kind(body, {name: nn.Linear(features, n) for name, n in outputs.items()})
