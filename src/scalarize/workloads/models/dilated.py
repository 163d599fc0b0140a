"""A dilated ResNet with one head per dense task: DeepLab's pyramid of dilated convolutions, or SegNet's decoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from scalarize.utils.errors import unknown_name_error
from scalarize.workloads.models.multihead import MultiHead
from scalarize.workloads.models.resnet import EXPANSION, resnet, widths
from scalarize.workloads.models.standardise import Standardise

STRIDE = 8  # of the encoder: its last two stages are dilated instead
CHANNELS = 256


def deeplab_head(inputs: int, outputs: int, channels: int, rates: Sequence[int], dropout: float) -> nn.Module:
    """Build a DeepLab v3 head from maps (B, inputs, H, W) to (B, outputs, 8 H, 8 W).

    It is the pyramid (torchvision's), a convolution, and bilinear interpolation. ``dropout`` is that of the pyramid's
    projection.
    """
    from torchvision.models.segmentation.deeplabv3 import ASPP

    pyramid = ASPP(inputs, list(rates), channels)
    pyramid.project[3].p = dropout
    return nn.Sequential(pyramid, *_convolution(channels, channels), nn.Conv2d(channels, outputs, 1), _larger(STRIDE))


def segnet_head(inputs: int, outputs: int, channels: int, dropout: float) -> nn.Module:
    """Build a head from maps (B, inputs, H, W) to (B, outputs, 8 H, 8 W): three times two convolutions and upsampling
    by 2.

    It follows SegNet's decoder, but interpolates: this encoder keeps no pooling indices (our choice).
    """
    layers: list[nn.Module] = []
    for number in range(3):
        inside = max(1, channels >> number)
        layers += [*_convolution(inputs, inside), *_convolution(inside, inside), _larger(2)]
        inputs = inside
    return nn.Sequential(*layers, nn.Dropout(dropout), nn.Conv2d(inputs, outputs, 1))


def dense_model(
    settings: Mapping[str, Any], outputs: Mapping[str, int], mean: Sequence[float], deviation: Sequence[float]
) -> MultiHead:
    """Build the encoder and a head for each task, for images (B, 3, H, W), H and W multiples of 32.

    Weights are drawn at random. Raises RequestError for another head or depth.

    Args:
        settings: ``depth`` 26, 50 or 101; ``width``, a factor of all channels; ``head``, "deeplab" or "segnet";
            ``rates`` of the pyramid's dilations; ``dropout``, one layer in each head.
        outputs: task to channels.
        mean: mean of each image channel, 0 to 255.
        deviation: deviation of each channel.
    """
    width = settings["width"]
    encoder = resnet(settings["depth"], width, pool=False, stride=STRIDE)
    inputs, channels = widths(width)[-1] * EXPANSION, max(1, round(CHANNELS * width))
    if settings["head"] not in ("deeplab", "segnet"):
        raise unknown_name_error("model.head", settings["head"], ["deeplab", "segnet"])

    def head(count: int) -> nn.Module:
        if settings["head"] == "deeplab":
            return deeplab_head(inputs, count, channels, settings["rates"], settings["dropout"])
        return segnet_head(inputs, count, channels, settings["dropout"])

    body = nn.Sequential(Standardise(mean, deviation), encoder)
    return MultiHead(body, {name: head(count) for name, count in outputs.items()})


def _convolution(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]


def _larger(factor: int) -> nn.Module:
    return nn.Upsample(scale_factor=factor, mode="bilinear", align_corners=False)
