"""Standardisation of raw images as the first layer of a model, so that data stay uint8 until they are on the device."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Standardise(nn.Module):
    """A layer from uint8 images (B, C, H, W) to float32, shifted by ``mean`` and scaled by ``deviation`` (C numbers
    each).
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, mean: Sequence[float], deviation: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean)[:, None, None])
        self.register_buffer("deviation", torch.tensor(deviation)[:, None, None])

    def forward(self, images: Tensor) -> Tensor:
        return (images.float() - self.mean).div_(self.deviation)
