"""The batched RandAugment gives torchvision's pixels, image by image, for the same draws."""

from __future__ import annotations

import pytest
import torch
from torchvision import transforms
from torchvision.transforms import v2

from scalarize.workloads.datasets.randaugment import OPERATIONS, SIGNED, RandAugment


def pictures(count: int, height: int, width: int, seed: int = 0) -> torch.Tensor:
    """Smooth pictures, a dark one, a nearly flat one, a constant one: histograms of all kinds."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 4, 4, generator=generator) * 255
    images = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic").clamp(0, 255).byte()
    images[0] = images[0] // 16
    images[1] = 100 + images[1] // 128
    images[2] = 77
    images[3, :, ::2] = 0
    return images


def torchvision_draws(count: int, operations: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """What torchvision's RandAugment draws from the global generator, image after image."""
    torch.manual_seed(seed)
    chosen, negative = [], []
    for _ in range(count * operations):
        op = int(torch.randint(len(OPERATIONS), (1,)).item())
        chosen.append(op)
        negative.append(OPERATIONS[op] in SIGNED and bool(torch.randint(2, (1,)).item()))
    return torch.tensor(chosen).reshape(count, -1), torch.tensor(negative).reshape(count, -1)


@pytest.mark.parametrize(
    ("height", "width", "magnitude", "bins", "operations"),
    [(32, 32, 9, 31, 2), (33, 28, 14, 31, 3), (64, 64, 3, 11, 2)],
)
def test_pixels_equal_torchvisions(height: int, width: int, magnitude: int, bins: int, operations: int) -> None:
    images = pictures(160, height, width)
    reference = transforms.RandAugment(operations, magnitude, bins)
    draws = torchvision_draws(len(images), operations, seed=7)
    torch.manual_seed(7)
    expected = torch.stack([reference(image) for image in images])
    ours = RandAugment(operations, magnitude, bins).apply(images, *draws)
    differing = (ours != expected).flatten(1).any(1).nonzero().flatten().tolist()
    assert not differing, [[OPERATIONS[o] for o in draws[0][k]] for k in differing]
    assert (ours != images).flatten(1).any(1).float().mean() > 0.5


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("negative", [False, True])
def test_each_operation_agrees_with_the_second_api(name: str, negative: bool) -> None:
    """torchvision.transforms.v2.RandAugment, told to use one operation; it rounds some of them otherwise."""
    images = pictures(12, 32, 32)
    reference = v2.RandAugment(1, 9)
    only = {name: reference._AUGMENTATION_SPACE[name]}
    reference._AUGMENTATION_SPACE = only
    for seed in range(40):
        torch.manual_seed(seed)
        torch.randint(1, ())
        if not only[name][1] or bool(torch.rand(()) <= 0.5) == negative:
            break
    expected = []
    for image in images:
        torch.manual_seed(seed)
        expected.append(reference(image))
    chosen = torch.full((12, 1), OPERATIONS.index(name))
    ours = RandAugment(1, 9).apply(images, chosen, torch.full((12, 1), negative))
    assert (ours.int() - torch.stack(expected).int()).abs().max() <= 1


def test_draws_are_uniform_independent_and_repeatable() -> None:
    augment = RandAugment()
    chosen, negative = augment.draw(20000, torch.Generator().manual_seed(1))
    share = torch.bincount(chosen.flatten(), minlength=14) / chosen.numel()
    assert (share - 1 / 14).abs().max() < 0.006
    assert abs(negative.float().mean() - 0.5) < 0.01
    assert (chosen[:, 0] == chosen[:, 1]).float().mean() == pytest.approx(1 / 14, abs=0.01)
    images = pictures(32, 32, 32)
    first, again = (augment(images, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, augment(images, torch.Generator().manual_seed(4)))
