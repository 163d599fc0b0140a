"""The LeNet of Sener and Koltun (2018) for two overlaid digits, with one small head per task."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn


def lenet(image: int = 28, channels: tuple[int, int] = (10, 20), features: int = 50, dropout: float = 0.0) -> nn.Module:
    """Build two 5x5 convolutions and a linear layer: gray images (B, 1, image, image) to features (B, features).

    28 pixels, 10 and 20 channels, so 320 inputs of the linear layer, and 50 features are Sener and Koltun's.
    ``dropout`` is that of the second convolution's maps.
    """
    return nn.Sequential(*(layer for make in stages(image, channels, features, dropout) for layer in make()))


def stages(
    image: int = 28, channels: tuple[int, int] = (10, 20), features: int = 50, dropout: float = 0.0
) -> list[Callable[[], nn.Sequential]]:
    """Return the makers of the two convolutions and of the linear layer, each with what follows it."""
    side = ((image - 4) // 2 - 4) // 2
    first, second = channels
    return [
        lambda: nn.Sequential(nn.Conv2d(1, first, 5), nn.MaxPool2d(2), nn.ReLU()),
        lambda: nn.Sequential(nn.Conv2d(first, second, 5), nn.Dropout2d(dropout), nn.MaxPool2d(2), nn.ReLU()),
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(second * side * side, features), nn.ReLU()),
    ]


def lenet_head(outputs: int, features: int = 50, dropout: float = 0.0) -> nn.Module:
    """Build two linear layers: features (B, features) to logits (B, outputs)."""
    return nn.Sequential(nn.Linear(features, features), nn.ReLU(), nn.Dropout(dropout), nn.Linear(features, outputs))
