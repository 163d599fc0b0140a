"""A dilated ResNet with one head a dense task: DeepLab's pyramid of dilated convolutions, or a SegNet-like decoder."""

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
    """A map (B, inputs, H, W) -> (B, outputs, 8 H, 8 W): DeepLab v3's pyramid (torchvision's), a convolution, 8 times
    larger by bilinear interpolation. dropout: of the pyramid's projection.
    """
    from torchvision.models.segmentation.deeplabv3 import ASPP

    pyramid = ASPP(inputs, list(rates), channels)
    pyramid.project[3].p = dropout
    return nn.Sequential(pyramid, *_convolution(channels, channels), nn.Conv2d(channels, outputs, 1), _larger(STRIDE))


def segnet_head(inputs: int, outputs: int, channels: int, dropout: float) -> nn.Module:
    """A map (B, inputs, H, W) -> (B, outputs, 8 H, 8 W): three times two convolutions and twice the size.

    As SegNet's decoder, but interpolating: this encoder leaves no pooling indices to go back by (our choice).
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
    """The encoder and a head for each task (name -> channels), for images (B, 3, H, W), H and W multiples of 32.

    settings: ``depth`` 26, 50 or 101; ``width``, a factor of all channels; ``head``, "deeplab" or "segnet";
    ``rates`` of the pyramid's dilations; ``dropout``, one layer in each head. Weights are drawn at random. Raises
    RequestError for another head or depth.
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
