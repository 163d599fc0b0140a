"""Parameter counts and shapes of the papers' models."""

from __future__ import annotations

import pytest
import torch

from scalarize.utils.errors import RequestError
from scalarize.workloads.models.lenet import lenet, lenet_head
from scalarize.workloads.models.resnet import count, dense, resnet
from scalarize.workloads.models.vit import small_vit

EXPANSION = 4


def resnet_parameters(layers: tuple[int, ...], width: float) -> int:
    """Counted by hand: stem, then bottlenecks 1x1, 3x3, 1x1, each convolution with a batch norm of two numbers."""
    stem = round(64 * width)
    total = 3 * 49 * stem + 2 * stem
    before = stem
    for blocks, base in zip(layers, (64, 128, 256, 512), strict=True):
        inner = round(base * width)
        outer = inner * EXPANSION
        for block in range(blocks):
            total += before * inner + 9 * inner * inner + inner * outer + 2 * (inner + inner + outer)
            if block == 0:
                total += before * outer + 2 * outer
            before = outer
    return total


def vit_parameters(depth: int, width: int) -> int:
    """Patches and class token with positions, then layers of four projections and an MLP of ratio 2."""
    tokens = 64 + 1
    layer = 4 * (width * width + width) + 2 * (width * 2 * width) + 3 * width + 4 * width
    return 48 * width + width + width + tokens * width + depth * layer + 2 * width


@pytest.mark.parametrize(("depth", "layers"), [(26, (2, 2, 2, 2)), (50, (3, 4, 6, 3)), (101, (3, 4, 23, 3))])
@pytest.mark.parametrize("width", [0.25, 0.5])
def test_resnets_scale_every_width_the_stems_included(depth: int, layers: tuple[int, ...], width: float) -> None:
    assert count(resnet(depth, width)) == resnet_parameters(layers, width)


def test_full_width_is_the_published_resnet() -> None:
    assert count(resnet(26)) == resnet_parameters((2, 2, 2, 2), 1.0) == 13_946_176
    assert resnet_parameters((3, 4, 23, 3), 1.0) == 42_500_160  # torchvision's ResNet-101 without its classifier


@pytest.mark.parametrize("depth", [3, 6, 9])
@pytest.mark.parametrize("width", [48, 96, 144, 192])
def test_small_vits(depth: int, width: int) -> None:
    assert count(small_vit(depth, width)) == vit_parameters(depth, width)


def test_the_largest_small_vit() -> None:
    assert count(small_vit(9, 192)) == 2_695_680


@pytest.mark.parametrize("shared", [0, 2, 4])
def test_decoders_move_layers_from_the_tasks_to_the_encoder(shared: int) -> None:
    encoder, heads = dense([1, 3], shared, 0.25)
    alone, whole = dense([1, 3], 0, 0.25)
    moved = count(encoder) - count(alone)
    assert [count(h) + moved for h in heads] == [count(h) for h in whole]
    assert (moved == 0) == (shared == 0)
    if shared == 4:
        assert [count(h) for h in heads] == [17, 51]  # a 1x1 convolution of 16 channels with a bias
    images = torch.randn(2, 3, 64, 32)
    assert [tuple(h(encoder(images)).shape) for h in heads] == [(2, 1, 64, 32), (2, 3, 64, 32)]


def test_feature_sizes() -> None:
    assert resnet(26, 0.25)(torch.randn(2, 3, 64, 64)).shape == (2, 512)
    assert small_vit(3, 48)(torch.randn(2, 3, 32, 32)).shape == (2, 48)
    assert lenet_head(10)(lenet()(torch.randn(2, 1, 28, 28))).shape == (2, 10)
    assert count(lenet()) == 10 * 26 + 20 * 251 + 321 * 50


def test_unknown_sizes_are_refused() -> None:
    with pytest.raises(RequestError, match="depth=34"):
        resnet(34)
    with pytest.raises(RequestError, match="between 0 and 4"):
        dense([1], shared=5)
