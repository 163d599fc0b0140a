"""Random crops and flips of a batch of images at once, on the device that holds it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from scalarize.tasks.samples import Batch
from scalarize.workloads.datasets.randaugment import RandAugment


def random_crop(images: Tensor, padding: int, generator: torch.Generator) -> Tensor:
    """Shift each image (B, C, H, W) by up to ``padding`` pixels in each direction; pixels from outside are black."""
    count, _, height, width = images.shape
    padded = functional.pad(images, (padding,) * 4)
    shift = torch.randint(2 * padding + 1, (2, count), generator=generator, device=generator.device).to(images.device)
    across = width + 2 * padding
    rows, columns = torch.arange(height, device=images.device), torch.arange(width, device=images.device)
    unshifted = (rows[:, None] * across + columns).flatten()
    source = unshifted + (shift[0] * across + shift[1])[:, None]
    return padded.flatten(2).gather(2, source[:, None].expand(-1, images.shape[1], -1)).view_as(images)


def flips(count: int, generator: torch.Generator, device: torch.device) -> Tensor:
    """Draw a mask (count,) of the images to mirror: each with probability one half."""
    return torch.randint(2, (count,), generator=generator, device=generator.device).bool().to(device)


def mirrored(images: Tensor, which: Tensor) -> Tensor:
    """Mirror the images (B, C, H, W) for which ``which`` (B,) is True."""
    columns = torch.arange(images.shape[-1], device=images.device)
    source = torch.where(which[:, None], columns.flip(0), columns)
    return images.gather(-1, source[:, None, None].expand(images.shape))


def random_resized_crop(images: Tensor, generator: torch.Generator, smallest: float = 0.25) -> Tensor:
    """Cut a random window from each image and enlarge it to the image's own size (bilinear).

    The area of the window is uniform in [``smallest``, 1] of the image's, its aspect ratio log-uniform in [3/4, 4/3],
    its position uniform; a side longer than the image's is cut to it. Images are uint8 in and out.
    """
    count = len(images)
    draws = torch.rand((4, count), generator=generator, device=generator.device).to(images.device)
    area = smallest + (1 - smallest) * draws[0]
    aspect = torch.exp((2 * draws[1] - 1) * 0.28768207)  # ln(4/3)
    width, height = (area * aspect).sqrt().clamp_max(1), (area / aspect).sqrt().clamp_max(1)
    theta = images.new_zeros((count, 2, 3), dtype=torch.float32)
    theta[:, 0, 0], theta[:, 1, 1] = width, height
    theta[:, 0, 2], theta[:, 1, 2] = (2 * draws[2] - 1) * (1 - width), (2 * draws[3] - 1) * (1 - height)
    grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
    window = functional.grid_sample(images.float(), grid, padding_mode="border", align_corners=False)
    return window.round().clamp(0, 255).to(images.dtype)


@dataclass(frozen=True)
class Augment:
    """Augmentation of the images of a training batch; targets stay as they are.

    Its steps, in this order, are a random window, a random crop, a flip and a policy.

    Args:
        padding: padding of the random crop in pixels, 0 for none.
        resized_crop: smallest share of the random window, None for none.
        flip: mirror each image with probability one half.
        policy: RandAugment, None for none.
    """

    padding: int = 0
    resized_crop: float | None = None
    flip: bool = False
    policy: RandAugment | None = None

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        images: Tensor = batch.inputs
        for step in self._steps():
            images = step(images, generator)
        return replace(batch, inputs=images)

    def _steps(self) -> list[Callable[[Tensor, torch.Generator], Tensor]]:
        steps: list[Callable[[Tensor, torch.Generator], Tensor]] = []
        if self.resized_crop is not None:
            smallest = self.resized_crop
            steps.append(lambda x, g: random_resized_crop(x, g, smallest))
        if self.padding:
            steps.append(lambda x, g: random_crop(x, self.padding, g))
        if self.flip:
            steps.append(lambda x, g: mirrored(x, flips(len(x), g, x.device)))
        if self.policy is not None:
            steps.append(self.policy)
        return steps
