"""torchvision's pointwise operations on images as lookup tables, one per channel of an image.

The effect of such an operation on a value depends on that value and on a few numbers of the image (its least, largest
or mean value, its histogram). So a table of 256 entries per image holds the very bytes that the operation would
compute, and one gather applies all operations of a batch at once.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor

# FIXED: one table for all images. ADAPTIVE: the table depends on the image.
FIXED = ("Brightness", "Posterize", "Solarize")
ADAPTIVE = ("Contrast", "AutoContrast", "Equalize")


def table(name: str, strength: float, images: Tensor) -> Tensor:
    """Return what ``name`` at ``strength`` makes of each value, (B, 3, 256) uint8, in images (B, 3, H, W) uint8."""
    if name in FIXED:
        return _fixed(name, strength, images.device).expand(len(images), 3, 256)
    if name == "Contrast":
        return _contrast(images, 1.0 + strength)
    return _autocontrast(images) if name == "AutoContrast" else _equalize(images)


def look_up(images: Tensor, tables: Tensor) -> Tensor:
    """Replace each value of images (B, 3, H, W) uint8 by its entry in ``tables`` (B, 3, 256)."""
    return tables.gather(2, images.flatten(2).long()).view_as(images)


def gray(pixels: Tensor) -> Tensor:
    """Return the brightness (B, H, W) of float32 pixels (B, 3, H, W), rounded down as in torchvision."""
    red, green, blue = pixels.unbind(1)
    return (0.2989 * red + 0.587 * green + 0.114 * blue).floor_()


def blend(a: Tensor, b: Tensor, ratio: float) -> Tensor:
    """Return ``ratio a + (1 - ratio) b`` cut to [0, 255], uint8; both are float32, ``a`` is overwritten."""
    return a.mul_(ratio).add_(b * (1.0 - ratio)).clamp_(0, 255).to(torch.uint8)


def _values(device: torch.device) -> Tensor:
    return torch.arange(256, device=device, dtype=torch.float32)


@functools.lru_cache(maxsize=64)
def _fixed(name: str, strength: float, device: torch.device) -> Tensor:
    """Return torchvision's result (256,) for an image that holds every value once."""
    from torchvision.transforms import functional

    changed: Tensor
    every = torch.arange(256, dtype=torch.uint8).expand(3, 1, 256)
    if name == "Brightness":
        changed = functional.adjust_brightness(every, 1.0 + strength)
    elif name == "Posterize":
        changed = functional.posterize(every, int(strength))
    else:
        changed = functional.solarize(every, strength)
    return changed[0, 0].to(device)


def _contrast(images: Tensor, ratio: float) -> Tensor:
    mean = gray(images.float()).mean(dim=(1, 2))
    values = _values(images.device).expand(len(images), 256).clone()
    return blend(values, mean[:, None], ratio)[:, None].expand(-1, 3, -1)


def _autocontrast(images: Tensor) -> Tensor:
    least, most = images.amin(dim=(2, 3)).float(), images.amax(dim=(2, 3)).float()
    scale = 255 / (most - least)
    flat = ~torch.isfinite(scale)
    least, scale = least.masked_fill(flat, 0)[..., None], scale.masked_fill(flat, 1)[..., None]
    return ((_values(images.device) - least) * scale).clamp_(0, 255).to(torch.uint8)


def _equalize(images: Tensor) -> Tensor:
    pixels = images.flatten(2).long()
    one = torch.ones((), dtype=torch.int64, device=images.device)
    histogram = torch.zeros((len(images), 3, 256), dtype=torch.int64, device=images.device)
    histogram.scatter_add_(2, pixels, one.expand_as(pixels))
    # All but the brightest value that occurs, spread over 255 steps.
    brightest = histogram.gather(2, pixels.amax(dim=2, keepdim=True))
    step = (pixels.shape[2] - brightest) // 255
    below = histogram.cumsum(dim=2) - histogram  # count of smaller values, like torchvision's shift by one
    entries = ((below + step // 2) // step.clamp(min=1)).clamp_(0, 255)
    entries[..., 0] = 0
    return torch.where(step > 0, entries, torch.arange(256, device=images.device)).to(torch.uint8)
