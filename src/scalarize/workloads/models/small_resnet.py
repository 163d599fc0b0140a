"""The ResNet-18 for small images of Sener and Koltun (2018): a 3x3 stem without pooling, features from a 2x2 grid."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

from torch import nn

STAGES = (64, 128, 256, 512)
BLOCKS = 2


def small_resnet(width: float = 1.0, dropout: float = 0.0) -> nn.Module:
    """Build it: images (B, 3, H, W), H and W multiples of 32, to features (B, :func:`features`); two blocks per stage.

    ``width`` is a factor of every stage's channels. ``dropout`` stands where the scripts of Kurin et al. (2022) have
    theirs of 0.5: of whole maps between the two convolutions of each block, and of the features; half of it, of whole
    maps, follows the stem. (Theirs of the features drops "maps" of one number each, which is the same.)
    """
    return nn.Sequential(*(layer for make in stages(width, dropout) for layer in make()), *tail(dropout))


def stages(width: float = 1.0, dropout: float = 0.0) -> list[Callable[[], nn.Sequential]]:
    """Return the makers of the four stages; the stem is one with the first."""
    stem, *channels = (max(1, round(c * width)) for c in (STAGES[0], *STAGES))
    return [partial(_stage, number, a, b, dropout) for number, (a, b) in enumerate(pairwise([stem, *channels]))]


def tail(dropout: float = 0.0) -> nn.Sequential:
    """Build what follows the stages: maps to features."""
    return nn.Sequential(nn.AvgPool2d(4), nn.Flatten(), nn.Dropout(dropout))


def _stage(number: int, inputs: int, outputs: int, dropout: float) -> nn.Sequential:
    layers: list[nn.Module] = []
    if number == 0:
        layers += [nn.Conv2d(3, inputs, 3, padding=1, bias=False), nn.BatchNorm2d(inputs), nn.ReLU()]
        layers.append(nn.Dropout2d(dropout / 2))
    for block in range(BLOCKS):
        layers.append(_block(inputs, outputs, 2 if number and not block else 1, dropout))
        inputs = outputs
    return nn.Sequential(*layers)


def features(side: int, width: float = 1.0) -> int:
    """Return the number of features of images of ``side`` pixels: 2048 at 64 pixels and full width."""
    return max(1, round(STAGES[-1] * width)) * (side // 32) ** 2


def _block(inputs: int, outputs: int, stride: int, dropout: float) -> nn.Module:
    from torchvision.models.resnet import BasicBlock

    shortcut = None
    if stride > 1 or inputs != outputs:
        shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
    block: Any = BasicBlock(inputs, outputs, stride, shortcut)
    block.conv2 = nn.Sequential(nn.Dropout2d(dropout), block.conv2)
    found: nn.Module = block
    return found
