"""The vision transformer for small images of Gani et al. (2022), which Royer et al. (2023) use below 64 pixels."""

from __future__ import annotations

from typing import cast

from torch import nn

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
