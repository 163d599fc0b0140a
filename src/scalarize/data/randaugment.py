"""RandAugment (Cubuk et al. 2020) on a batch of uint8 images at once: the pixels of torchvision's, a batch at a time.

Every image has its own operations and signs; the magnitude is one for all. So each operation is computed once for the
images that drew it, and each geometric one is a fixed rearrangement of pixels, found once for an image size.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

# torchvision's operations in torchvision's order; the first group and the second take a sign
GEOMETRIC = ("ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate")
BLENDS = ("Brightness", "Color", "Contrast", "Sharpness")
OPERATIONS = ("Identity", *GEOMETRIC, *BLENDS, "Posterize", "Solarize", "AutoContrast", "Equalize")
SIGNED = frozenset((*GEOMETRIC, *BLENDS))


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
        """The operations ``chosen`` (B, operations), each negated where ``negative`` and it takes a sign."""
        signed = torch.tensor([name in SIGNED for name in OPERATIONS], device=chosen.device)
        variants = (2 * chosen + (negative & signed[chosen]).long()).to(images.device)
        for variant in variants.unbind(1):
            order = torch.argsort(variant, stable=True)
            counts = torch.bincount(variant, minlength=2 * len(OPERATIONS)).tolist()
            parts = torch.split(images[order], [c for c in counts if c])
            present = [v for v, c in enumerate(counts) if c]
            changed = [self._operate(v // 2, v % 2, p) for v, p in zip(present, parts, strict=True)]
            images = torch.empty_like(images).index_copy_(0, order, torch.cat(changed))
        return images

    def _operate(self, operation: int, negative: int, images: Tensor) -> Tensor:
        name = OPERATIONS[operation]
        height, width = images.shape[-2:]
        strength = self.strength(name, height, width) * (-1 if negative else 1)
        if name in GEOMETRIC:
            source, inside = _rearrangement(name, strength, height, width)
            source, inside = source.to(images.device), inside.to(images.device)
            return (images.flatten(2).index_select(2, source) * inside).reshape(images.shape)
        return _photometric(name, strength)(images)

    def strength(self, name: str, height: int, width: int) -> float:
        """What ``magnitude`` means for an operation: tangent, pixels, degrees, blend, bits or threshold."""
        tops = {
            "ShearX": 0.3,
            "ShearY": 0.3,
            "TranslateX": 150.0 / 331.0 * width,
            "TranslateY": 150.0 / 331.0 * height,
            "Rotate": 30.0,
            **dict.fromkeys(BLENDS, 0.9),
        }
        if name in tops:  # through torch.linspace, whose float32 rounding torchvision has too
            return float(torch.linspace(0.0, tops[name], self.bins)[self.magnitude])
        if name == "Solarize":
            return float(torch.linspace(255.0, 0.0, self.bins)[self.magnitude])
        if name == "Posterize":
            return 8 - round(self.magnitude / ((self.bins - 1) / 4))
        return 0.0


@functools.lru_cache(maxsize=64)
def _rearrangement(name: str, strength: float, height: int, width: int) -> tuple[Tensor, Tensor]:
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
    return (source - 1).clamp_min(0), (source > 0).to(torch.uint8)


def _photometric(name: str, strength: float) -> Callable[[Tensor], Tensor]:
    # torchvision's two APIs round differently in places; this is transforms.RandAugment's. Equalize agrees in both,
    # and only the second computes it for a batch at once.
    from torchvision.transforms import functional
    from torchvision.transforms.v2 import functional as second

    operations: dict[str, Callable[[Tensor], Tensor]] = {
        "Identity": lambda x: x,
        "Brightness": lambda x: functional.adjust_brightness(x, 1.0 + strength),
        "Color": lambda x: functional.adjust_saturation(x, 1.0 + strength),
        "Contrast": lambda x: functional.adjust_contrast(x, 1.0 + strength),
        "Sharpness": lambda x: functional.adjust_sharpness(x, 1.0 + strength),
        "Posterize": lambda x: functional.posterize(x, int(strength)),
        "Solarize": lambda x: functional.solarize(x, strength),
        "AutoContrast": functional.autocontrast,
        "Equalize": second.equalize,
    }
    return operations[name]
