"""Images as uint8 tensors (3, H, W): conversion of any file mode to RGB, resizing, channel statistics."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from scalarize.utils import files
from scalarize.utils.errors import RequestError

if TYPE_CHECKING:
    from PIL import Image


def rgb_on_white(image: Image.Image) -> Tensor:
    """Convert an image to RGB uint8 (3, H, W); transparent pixels become white."""
    from PIL import Image

    rgba = image.convert("RGBA")
    white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
    return _to_tensor(Image.alpha_composite(white, rgba).convert("RGB"))


def decode(content: bytes, name: str | Path) -> Tensor:
    """Decode a PNG or JPEG as RGB uint8 (3, H, W) on white. Raises RequestError that names the file."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(content)) as image:
            return rgb_on_white(image)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise RequestError(f"{name}: cannot be read as an image: {_first_line(error)}") from None


def read(path: Path, side: int | None = None, crop: int | None = None) -> Tensor:
    """Read an image file as RGB uint8. Raises RequestError that names the file if it is missing, cut short or damaged.

    Args:
        path: the file.
        side: side of the square that the result is resampled to (bilinear, antialiased).
        crop: side of a centred square that is cut out first; 0 for the largest one that fits.
    """
    from PIL import Image, UnidentifiedImageError

    files.check_regular(path)
    try:
        with Image.open(path) as image:
            rgb = image.convert("RGB")
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise RequestError(f"{path}: cannot be read as an image: {_first_line(error)}") from None
    if crop is not None:
        edge = crop or min(rgb.size)
        left, top = (rgb.width - edge) // 2, (rgb.height - edge) // 2
        rgb = rgb.crop((left, top, left + edge, top + edge))
    if side is not None and rgb.size != (side, side):
        rgb = rgb.resize((side, side), Image.Resampling.BILINEAR)
    return _to_tensor(rgb)


def resize(images: Tensor, side: int) -> Tensor:
    """Resize uint8 images (N, C, H, W) to ``side`` x ``side``, bilinear with antialiasing, in chunks to save memory."""
    if images.shape[-2:] == (side, side):
        return images
    parts = [
        functional.interpolate(part.float(), (side, side), mode="bilinear", antialias=True).round().clamp(0, 255).byte()
        for part in torch.split(images, 1024)
    ]
    return torch.cat(parts) if parts else images.new_zeros((0, images.shape[1], side, side))


def channel_statistics(images: Tensor) -> tuple[list[float], list[float]]:
    """Return mean and deviation of each channel of uint8 images (N, C, H, W), on the scale 0 to 255."""
    count = images.numel() / images.shape[1]
    total = images.sum(dim=(0, 2, 3), dtype=torch.float64)
    squares = sum(part.double().square().sum(dim=(0, 2, 3)) for part in torch.split(images, 1024))
    mean = total / count
    deviation = (squares / count - mean.square()).clamp_min(1e-6).sqrt()
    return mean.tolist(), deviation.tolist()


def _to_tensor(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1).contiguous()


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
