"""Batched crops and flips: each image its own, nothing invented, repeatable."""

from __future__ import annotations

import torch

from scalarize.tasks.samples import Batch
from scalarize.workloads.datasets.augment import Augment, flips, mirrored, random_crop, random_resized_crop
from scalarize.workloads.datasets.randaugment import RandAugment


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_each_crop_is_a_shift_of_its_image_with_black_outside() -> None:
    images = torch.randint(1, 256, (64, 3, 8, 8), dtype=torch.uint8, generator=generator(1))
    cropped = random_crop(images, 2, generator())
    padded = torch.nn.functional.pad(images, (2,) * 4)
    shifts = []
    for image, result in zip(padded, cropped, strict=True):
        found = [(i, j) for i in range(5) for j in range(5) if torch.equal(image[:, i : i + 8, j : j + 8], result)]
        assert len(found) == 1
        shifts += found
    assert len(set(shifts)) > 15


def test_half_of_the_images_are_mirrored() -> None:
    which = flips(4000, generator(), torch.device("cpu"))
    assert 0.45 < which.float().mean() < 0.55
    images = torch.arange(12.0).reshape(2, 1, 2, 3)
    turned = mirrored(images, torch.tensor([True, False]))
    assert turned[0, 0].tolist() == [[2, 1, 0], [5, 4, 3]]
    assert torch.equal(turned[1], images[1])


def test_a_resized_crop_enlarges_a_window_of_the_image() -> None:
    ramp = torch.arange(32, dtype=torch.uint8)[None, None, None, :].expand(200, 3, 32, 32) * 8
    crops = random_resized_crop(ramp, generator(), smallest=0.25)
    assert crops.shape == ramp.shape
    assert crops.dtype == torch.uint8
    span = crops[:, 0, 0, -1].float() - crops[:, 0, 0, 0].float()
    assert span.min() > 31 * 8 * 0.35  # sides are at least sqrt(0.25 * 3/4) of the image's
    assert span.max() <= 31 * 8
    assert span.std() > 20
    whole = random_resized_crop(ramp[:4], generator(), smallest=1.0)
    assert (whole[:, 0, :, -1].float() - whole[:, 0, :, 0].float()).min() > 31 * 8 * 0.8


def test_the_whole_pipeline_repeats_with_its_seed_and_keeps_targets() -> None:
    images = torch.randint(256, (16, 3, 32, 32), dtype=torch.uint8, generator=generator(2))
    batch = Batch(images, {"t": torch.arange(16)})
    augment = Augment(padding=4, resized_crop=0.5, flip=True, policy=RandAugment())
    first, again, other = augment(batch, generator(5)), augment(batch, generator(5)), augment(batch, generator(6))
    assert torch.equal(first.inputs, again.inputs)
    assert not torch.equal(first.inputs, other.inputs)
    assert torch.equal(first.targets["t"], torch.arange(16))
    assert torch.equal(Augment()(batch, generator()).inputs, images)
