"""RandAugment (Cubuk et al. 2020) on a batch of uint8 images at once: the pixels of torchvision's, a batch at a time.

Every image has its own operations and signs; the magnitude is one for all. So the images are sorted by what they drew:
those that are moved take their pixels from a fixed rearrangement, found once for an image size, in one gather; those
whose values change one by one take them from lookup tables, in another; only two operations look at several values.
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
# The order in which images are sorted, so that each way of computing has one stretch of the batch.
STRETCHES = (("Identity",), GEOMETRIC, (*pointwise.FIXED, *pointwise.ADAPTIVE), ("Color",), ("Sharpness",))
SORTED = tuple(name for stretch in STRETCHES for name in stretch)


@dataclass(frozen=True)
class RandAugment:
    """``operations`` random operations an image, all at strength ``magnitude`` of ``bins`` (torchvision's defaults).

    Images (B, 3, H, W) uint8 in and out; pixels that enter from outside are black; nearest-neighbour sampling.
    """

    operations: int = 2
    magnitude: int = 9
    bins: int = 31

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """The augmented images, with draws from ``generator`` (on any device)."""
        return self.apply(images, *self.draw(len(images), generator))

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """For each of ``count`` images its operations (count, operations), indices into ``OPERATIONS``, and whether
        each is negated, uniformly at random."""
        shape = (count, self.operations)
        chosen = torch.randint(len(OPERATIONS), shape, generator=generator, device=generator.device)
        negative = torch.randint(2, shape, generator=generator, device=generator.device).bool()
        return chosen, negative

    def apply(self, images: Tensor, chosen: Tensor, negative: Tensor) -> Tensor:
        """The operations ``chosen`` (B, operations), each negated where ``negative`` and it takes a sign.

        How many images drew what decides shapes, so draws made on a GPU are brought to the host, once a batch; with a
        generator of the CPU nothing waits for the device.
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
        """Sorted images, ``counts`` of each variant, operated on."""
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
        """Name, signed strength and number of images of each variant that any image drew."""
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
        """What ``magnitude`` means for an operation: tangent, pixels, degrees, blend, bits or threshold."""
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
    """Where each pixel of the result comes from (HW,), and whether that lies inside (HW,) uint8.

    torchvision's own transform of an image that holds its pixels' numbers: so equal to it by construction.
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
    """Nearer to (ratio < 1) or farther from their gray versions; images (B, 3, H, W)."""
    pixels = images.float()
    return pointwise.blend(pixels, pointwise.gray(pixels)[:, None], ratio)


def _sharpened(images: Tensor, ratio: float) -> Tensor:
    """Farther from (ratio > 1) or nearer to their blurred versions, whose border is the images' own.

    Sums of whole numbers are exact, and a thirteenth of one is never half-way between two: so the blurred values are
    torchvision's in whatever order it adds.
    """
    if min(images.shape[-2:]) <= 2:
        return images
    pixels = images.float()
    rows = pixels[..., :-2, :] + pixels[..., 1:-1, :] + pixels[..., 2:, :]
    inner = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]
    blurred = pixels.clone()
    blurred[..., 1:-1, 1:-1] = inner.add_(pixels[..., 1:-1, 1:-1], alpha=4).div_(13).round_()
    return pointwise.blend(pixels, blurred, ratio)
