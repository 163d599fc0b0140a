"""ResNet-18, -26, -50 and -101 with a width factor, and mirrored decoders for dense tasks (Royer et al. 2023)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

from torch import nn

from scalarize.utils.errors import RequestError

LAYERS = {18: (2, 2, 2, 2), 26: (2, 2, 2, 2), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
STAGES = (64, 128, 256, 512)
EXPANSION = 4  # of bottlenecks; the basic blocks of ResNet-18 have none
BASIC = 18


def widths(factor: float) -> tuple[int, ...]:
    """Return the channels of the stem and of the four stages' bottlenecks, times ``factor``; at least 1."""
    return tuple(max(1, round(c * factor)) for c in (64, *STAGES))


def features(depth: int, width: float) -> int:
    """Return the number of features of an encoder."""
    return widths(width)[len(STAGES)] * (1 if depth == BASIC else EXPANSION)


def resnet(depth: int = 26, width: float = 1.0, pool: bool = True, stride: int = 32) -> nn.Module:
    """Build timm's ResNet without its classifier, every width times ``width``, the stem's included.

    It maps images (B, 3, H, W) to features (B, F), F 2048 width, or 512 width for depth 18, whose blocks are not
    bottlenecks; with ``pool=False``, to a map (B, F, H/stride, W/stride). ``stride`` is 8, 16 or 32; below 32 the last
    stages are dilated instead of strided. Raises RequestError for another depth than 18, 26, 50, 101.
    """
    from timm.models.resnet import BasicBlock, Bottleneck, ResNet

    if depth not in LAYERS:
        raise RequestError(f"model.depth={depth}: a ResNet here has depth 18, 26, 50 or 101")
    stem, *stages = widths(width)
    block: Any = BasicBlock if depth == BASIC else Bottleneck
    net: Any = ResNet(
        block,
        LAYERS[depth],
        num_classes=0,
        output_stride=stride,
        channels=tuple(stages),
        global_pool="avg" if pool else "",
    )
    if stem != 64:  # timm's stem has 64 channels, whatever the width of the stages
        first = net.layer1[0]
        net.conv1 = _conv(3, stem, 7, 2)
        net.bn1 = nn.BatchNorm2d(stem)
        first.conv1 = _conv(stem, stages[0], 3 if depth == BASIC else 1)
        outputs = stages[0] * block.expansion
        first.downsample = nn.Sequential(_conv(stem, outputs), nn.BatchNorm2d(outputs))
    module: nn.Module = net
    return module


def stages(depth: int = 26, width: float = 1.0) -> list[Callable[[], nn.Module]]:
    """Return the makers of the four stages of :func:`resnet`; the first has the stem, the last no pooling."""
    return [partial(_stage, depth, width, number) for number in range(len(STAGES))]


def _stage(depth: int, width: float, number: int) -> nn.Module:
    net: Any = resnet(depth, width)
    stem = [net.conv1, net.bn1, net.act1, net.maxpool] if number == 0 else []
    return nn.Sequential(*stem, *getattr(net, f"layer{number + 1}"))


def _conv(inputs: int, outputs: int, kernel: int = 1, stride: int = 1) -> nn.Conv2d:
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")  # as timm does for the others
    return conv


class DecoderLayer(nn.Sequential):
    """One mirrored stage: 1x1 convolution, batch norm, ReLU, then bilinear upsampling by ``scale``."""

    def __init__(self, inputs: int, outputs: int, scale: int) -> None:
        super().__init__(
            _conv(inputs, outputs),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.Upsample(scale_factor=scale, mode="bilinear", align_corners=False),
        )


def decoder(width: float = 1.0) -> list[DecoderLayer]:
    """Build four layers that mirror the encoder's four stages, from 2048 to 64 channels times ``width``, 32 times
    larger.

    Upsampling and 1x1 convolutions are as in Royer et al. (2023), section 3.3. The last layer undoes the stem's factor
    4; there are no skip connections (both our choice: the paper is silent).
    """
    stem, *stages = widths(width)
    channels = [*(c * EXPANSION for c in reversed(stages)), stem]
    return [DecoderLayer(a, b, scale) for (a, b), scale in zip(pairwise(channels), (2, 2, 2, 4), strict=True)]


def dense(
    outputs: Sequence[int], shared: int = 0, width: float = 1.0, depth: int = 26
) -> tuple[nn.Module, list[nn.Module]]:
    """Build a shared ResNet with the first ``shared`` decoder layers, and the rest for each of ``outputs`` (channels).

    The encoder takes images (B, 3, H, W), H and W multiples of 32. Heads end with a 1x1 convolution: (B, outputs, H,
    W). ``shared`` is 0, 2 or 4 in the paper; 4 leaves only the last convolution to the tasks. Raises RequestError
    outside of 0 to 4, and for another ``depth`` than 26, 50, 101, whose blocks are bottlenecks.
    """
    if not 0 <= shared <= len(STAGES):
        raise RequestError(f"model.shared_decoder={shared}: between 0 and {len(STAGES)} decoder layers can be shared")
    if depth == BASIC:
        raise RequestError(f"model.depth={depth}: an encoder with decoders has depth 26, 50 or 101")
    encoder = nn.Sequential(resnet(depth, width, pool=False), *decoder(width)[:shared])
    last = widths(width)[0]
    heads: list[nn.Module] = [nn.Sequential(*decoder(width)[shared:], nn.Conv2d(last, n, 1)) for n in outputs]
    return encoder, heads


def count(module: nn.Module) -> int:
    """Count the trainable parameters."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)
