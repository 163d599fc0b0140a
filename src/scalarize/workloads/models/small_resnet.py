"""The ResNet-18 for small images of Sener and Koltun (2018): a 3x3 stem without pooling, features from a 2x2 grid."""

from __future__ import annotations

from torch import nn

STAGES = (64, 128, 256, 512)
BLOCKS = 2


def small_resnet(width: float = 1.0, dropout: float = 0.0) -> nn.Module:
    """Build it: images (B, 3, H, W), H and W multiples of 32, to features (B, :func:`features`); two blocks per stage.

    ``width`` is a factor of every stage's channels. ``dropout`` is that of the features; half of it, of whole maps,
    follows each of the first three stages (Kurin et al. 2022 have several layers from 0.25 to 0.5; their places are our
    choice).
    """
    inputs, *stages = (max(1, round(c * width)) for c in (STAGES[0], *STAGES))
    layers: list[nn.Module] = [nn.Conv2d(3, inputs, 3, padding=1, bias=False), nn.BatchNorm2d(inputs), nn.ReLU()]
    for number, channels in enumerate(stages):
        for block in range(BLOCKS):
            layers.append(_block(inputs, channels, 2 if number and not block else 1))
            inputs = channels
        if number + 1 < len(stages):
            layers.append(nn.Dropout2d(dropout / 2))
    return nn.Sequential(*layers, nn.AvgPool2d(4), nn.Flatten(), nn.Dropout(dropout))


def features(side: int, width: float = 1.0) -> int:
    """Return the number of features of images of ``side`` pixels: 2048 at 64 pixels and full width."""
    return max(1, round(STAGES[-1] * width)) * (side // 32) ** 2


def _block(inputs: int, outputs: int, stride: int) -> nn.Module:
    from torchvision.models.resnet import BasicBlock

    shortcut = None
    if stride > 1 or inputs != outputs:
        shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
    block: nn.Module = BasicBlock(inputs, outputs, stride, shortcut)
    return block
