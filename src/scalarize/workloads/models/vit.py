"""The vision transformer for small images of Gani et al. (2022), which Royer et al. (2023) use below 64 pixels."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor, nn

from scalarize.utils.errors import RequestError


def small_vit(
    depth: int = 9, width: int = 192, image: int = 32, patch: int = 4, heads: int = 12, mlp_ratio: float = 2.0
) -> nn.Module:
    """Build ViT-S/4: images (B, 3, image, image) to the class token's features (B, width).

    ``depth`` is the number of layers, 3, 6 or 9 in the paper; ``width`` the token dimension, 48, 96, 144 or 192
    (factors 0.25 to 1 of 192), a multiple of ``heads``, or RequestError is raised. There is no dropout and no
    stochastic depth (our choice: the paper names none).
    """
    from timm.models.vision_transformer import VisionTransformer

    if width % heads:
        raise RequestError(
            f"a token dimension of {width} cannot be shared out to {heads} heads: use a multiple of them"
        )
    return cast(
        nn.Module,
        VisionTransformer(
            img_size=image,
            patch_size=patch,
            embed_dim=width,
            depth=depth,
            num_heads=heads,
            mlp_ratio=mlp_ratio,
            num_classes=0,
            global_pool="token",
        ),
    )


STAGES = 3  # that the layers are divided into, if there are as many


class Layers(nn.Module):
    """Some consecutive layers of a ViT: the first take images, the last return the class token's features.

    Args:
        vit: a fresh one, of timm.
        begin, end: the layers, from ``begin`` to before ``end``.
    """

    def __init__(self, vit: Any, begin: int, end: int) -> None:
        super().__init__()
        self.before = nn.Module()
        if begin == 0:
            self.before.patch_embed, self.before.norm_pre = vit.patch_embed, vit.norm_pre
            self.before.cls_token, self.before.pos_embed = vit.cls_token, vit.pos_embed
        self.blocks = vit.blocks[begin:end]
        self.norm = vit.norm if end == len(vit.blocks) else None

    def forward(self, x: Tensor) -> Tensor:
        if hasattr(self.before, "patch_embed"):
            before: Any = self.before
            tokens = before.patch_embed(x)
            x = torch.cat([before.cls_token.expand(len(x), -1, -1), tokens], dim=1) + before.pos_embed
            x = before.norm_pre(x)
        x = self.blocks(x)
        return x if self.norm is None else self.norm(x)[:, 0]


def stages(depth: int, width: int, image: int) -> list[Callable[[], nn.Module]]:
    """Return the makers of consecutive layers, in at most three parts of about the same number."""
    parts = min(STAGES, depth)
    ends = [depth * k // parts for k in range(parts + 1)]
    return [partial(_layers, depth, width, image, a, b) for a, b in pairwise(ends)]


def _layers(depth: int, width: int, image: int, begin: int, end: int) -> Layers:
    return Layers(small_vit(depth, width, image), begin, end)
