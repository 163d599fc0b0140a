"""RandAugment (Cubuk et al. 2020) on a batch of uint8 images at once, with torchvision's pixels.

Every image has its own operations and signs; the magnitude is the same for all. The images are sorted by their
operations: geometric ones take their pixels from a fixed rearrangement, found once per image size, in one gather;
pointwise ones from lookup tables, in another; only two operations combine several pixels.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from scalarize.workloads.datasets import pointwise

# torchvision's operations in torchvision's order; the first group and the second take a sign
GEOMETRIC = ("ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate")
BLENDS = ("Brightness", "Color", "Contrast", "Sharpness")
OPERATIONS = ("Identity", *GEOMETRIC, *BLENDS, "Posterize", "Solarize", "AutoContrast", "Equalize")
SIGNED = frozenset((*GEOMETRIC, *BLENDS))
# The order in which images are sorted, so that each kind of computation has one contiguous part of the batch.
STRETCHES = (("Identity",), GEOMETRIC, (*pointwise.FIXED, *pointwise.ADAPTIVE), ("Color",), ("Sharpness",))
SORTED = tuple(name for stretch in STRETCHES for name in stretch)


@dataclass(frozen=True)
class RandAugment:
    """Random augmentation: ``operations`` per image, all at strength ``magnitude`` of ``bins`` (torchvision's
    defaults).

    Images (B, 3, H, W) uint8 in and out; pixels from outside are black; nearest-neighbour sampling.
    """

    operations: int = 2
    magnitude: int = 9
    bins: int = 31

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Augment the images, with draws from ``generator`` (on any device)."""
        return self.apply(images, *self.draw(len(images), generator))

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw operations and signs for ``count`` images, uniformly at random.

        Returns:
            Operations (count, operations), indices into ``OPERATIONS``, and a mask of those that are negated.
        """
        shape = (count, self.operations)
        chosen = torch.randint(len(OPERATIONS), shape, generator=generator, device=generator.device)
        negative = torch.randint(2, shape, generator=generator, device=generator.device).bool()
        return chosen, negative

    def apply(self, images: Tensor, chosen: Tensor, negative: Tensor) -> Tensor:
        """Apply the operations ``chosen`` (B, operations), each negated if ``negative`` and if it takes a sign.

        The number of images per operation decides shapes, so draws made on a GPU are copied to the host once per batch;
        with a generator of the CPU nothing waits for the device.
        """
        variants = torch.stack([_PLACES[chosen.cpu()], negative.cpu() & _SIGNED[chosen.cpu()]])
        for place, negated in variants.unbind(2):
            variant = 2 * place + negated
            order = torch.argsort(variant, stable=True)
            counts = torch.bincount(variant, minlength=2 * len(SORTED)).tolist()
            there, back = order.to(images.device), order.argsort().to(images.device)
            images = self._change(images.index_select(0, there), counts).index_select(0, back)
        return images

    def _change(self, images: Tensor, counts: list[int]) -> Tensor:
        """Apply each variant to its ``counts`` of the sorted images."""
        end = 0
        for names in STRETCHES:
            drawn = list(self._drawn(names, counts, images.shape))
            start, end = end, end + sum(count for _, _, count in drawn)
            part = images[start:end]
            if names == GEOMETRIC and drawn:
                images[start:end] = self._moved(part, drawn)
            elif names == STRETCHES[2] and drawn:
                tables, first = [], 0
                for name, strength, count in drawn:
                    tables.append(pointwise.table(name, strength, part[first : first + count]))
                    first += count
                images[start:end] = pointwise.look_up(part, torch.cat(tables))
            elif names != ("Identity",):
                for _, strength, count in drawn:
                    here = slice(start, start + count)
                    images[here] = (_colored if names == ("Color",) else _sharpened)(images[here], 1.0 + strength)
                    start += count
        return images

    def _drawn(self, names: tuple[str, ...], counts: list[int], shape: torch.Size) -> Iterator[tuple[str, float, int]]:
        """Return name, signed strength and number of images of each variant that was drawn."""
        for name in names:
            for negated in (0, 1):
                if count := counts[2 * SORTED.index(name) + negated]:
                    yield name, self.strength(name, shape[-2], shape[-1]) * (-1 if negated else 1), count

    @staticmethod
    def _moved(images: Tensor, drawn: list[tuple[str, float, int]]) -> Tensor:
        maps = [_rearrangement(name, strength, *images.shape[-2:], images.device) for name, strength, _ in drawn]
        sources, insides = zip(*maps, strict=True)
        each = [count for _, _, count in drawn]
        source = torch.cat([s.expand(n, 1, -1) for s, n in zip(sources, each, strict=True)])
        inside = torch.cat([i.expand(n, 1, -1) for i, n in zip(insides, each, strict=True)])
        return images.flatten(2).gather(2, source.expand(-1, images.shape[1], -1)).mul_(inside).view_as(images)

    def strength(self, name: str, height: int, width: int) -> float:
        """Return the strength of an operation at ``magnitude``: tangent, pixels, degrees, blend, bits or threshold."""
        return _strength(name, height, width, self.magnitude, self.bins)


_PLACES = torch.tensor([SORTED.index(name) for name in OPERATIONS])
_SIGNED = torch.tensor([name in SIGNED for name in OPERATIONS])


@functools.lru_cache(maxsize=256)
def _strength(name: str, height: int, width: int, magnitude: int, bins: int) -> float:
    tops = {
        "ShearX": 0.3,
        "ShearY": 0.3,
        "TranslateX": 150.0 / 331.0 * width,
        "TranslateY": 150.0 / 331.0 * height,
        "Rotate": 30.0,
        **dict.fromkeys(BLENDS, 0.9),
    }
    if name in tops:  # through torch.linspace, whose float32 rounding torchvision has too
        return float(torch.linspace(0.0, tops[name], bins)[magnitude])
    if name == "Solarize":
        return float(torch.linspace(255.0, 0.0, bins)[magnitude])
    if name == "Posterize":
        return 8 - round(magnitude / ((bins - 1) / 4))
    return 0.0


@functools.lru_cache(maxsize=64)
def _rearrangement(name: str, strength: float, height: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the source of each pixel of the result (HW,), and whether it lies inside (HW,) uint8.

    It is torchvision's own transform of an image that holds the numbers of its pixels, and so equal by construction.
    """
    from torchvision.transforms import InterpolationMode, functional

    numbers = torch.arange(1.0, height * width + 1).reshape(1, height, width)
    nearest = InterpolationMode.NEAREST
    degrees = math.degrees(math.atan(strength))
    if name == "Rotate":
        moved = functional.rotate(numbers, strength, nearest)
    elif name.startswith("Translate"):
        shift = [int(strength), 0] if name == "TranslateX" else [0, int(strength)]
        moved = functional.affine(numbers, 0.0, shift, 1.0, [0.0, 0.0], nearest)
    else:
        shear = [degrees, 0.0] if name == "ShearX" else [0.0, degrees]
        moved = functional.affine(numbers, 0.0, [0, 0], 1.0, shear, nearest, center=[0, 0])
    source = moved.round().long().flatten()
    return (source - 1).clamp_min(0).to(device), (source > 0).to(device, torch.uint8)


def _colored(images: Tensor, ratio: float) -> Tensor:
    """Move images (B, 3, H, W) towards (ratio < 1) or away from their gray versions."""
    pixels = images.float()
    return pointwise.blend(pixels, pointwise.gray(pixels)[:, None], ratio)


def _sharpened(images: Tensor, ratio: float) -> Tensor:
    """Move images away from (ratio > 1) or towards their blurred versions, whose border is the images' own.

    Sums of whole numbers are exact, and a thirteenth of one is never half-way between two, so the blurred values are
    torchvision's in any order of addition.
    """
    if min(images.shape[-2:]) <= 2:
        return images
    pixels = images.float()
    rows = pixels[..., :-2, :] + pixels[..., 1:-1, :] + pixels[..., 2:, :]
    inner = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]
    blurred = pixels.clone()
    blurred[..., 1:-1, 1:-1] = inner.add_(pixels[..., 1:-1, 1:-1], alpha=4).div_(13).round_()
    return pointwise.blend(pixels, blurred, ratio)
