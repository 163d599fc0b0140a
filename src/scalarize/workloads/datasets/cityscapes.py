"""Cityscapes in the two layouts that are published: MTAN's arrays, and the original pictures.

cityscapes/train/image/0.npy (128, 256, 3) in [0, 1]; label_7/0.npy or label/0.npy (128, 256), -1 unknown;
           train/depth/0.npy (128, 256, 1), inverse depth, 0 unknown; and the same in val/
cityscapes/leftImg8bit/train/CITY/NAME_leftImg8bit.png; gtFine/train/CITY/NAME_gtFine_labelIds.png;
           disparity/train/CITY/NAME_disparity.png (16 bit); and the same in val/
"""

from __future__ import annotations

import tokenize
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scalarize.utils import files
from scalarize.utils.errors import RequestError, unknown_name_error
from scalarize.workloads.datasets.streamed import Sample

if TYPE_CHECKING:
    from PIL import Image

FOLDER = "cityscapes"
SIDES = {"train": "train", "test": "val"}  # the test split's labels are not published: papers test on val
HEIGHT, WIDTH = 128, 256
UNKNOWN = -1
FOCAL_TIMES_BASELINE = 2262.52 * 0.209313  # pixels x metres of the recording car's stereo camera
ARRAYS, PICTURES = "arrays", "pictures"
LABELS = {7: ("label_7", "label"), 19: ("label_19", "label")}  # MTAN's releases name them differently

# Errors of numpy for a damaged .npy: its header is parsed as Python, and a file that begins like a zip as a zip.
_UNREADABLE = (OSError, ValueError, EOFError, SyntaxError, TypeError, tokenize.TokenError, zipfile.BadZipFile)

# The 34 identifiers of the label files: the first that is known, then 19 training classes, then 7 categories.
_TRAINED = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
_CATEGORIES = (
    *((7, 8, 9, 10), (11, 12, 13, 14, 15, 16), (17, 18, 19, 20), (21, 22)),
    *((23,), (24, 25), (26, 27, 28, 29, 30, 31, 32, 33)),
)
IDENTIFIERS = 34


def class_table(classes: int) -> NDArray[np.int64]:
    """Return a table (35,) from label identifiers, -1 to 33 (shifted by one), to one of 19 or 7 classes, or UNKNOWN.

    Raises RequestError for another number of classes.
    """
    if classes not in LABELS:
        raise unknown_name_error("data.classes", str(classes), [str(c) for c in LABELS])
    groups: Sequence[Sequence[int]] = [(i,) for i in _TRAINED] if classes == 19 else _CATEGORIES
    table = np.full(IDENTIFIERS + 1, UNKNOWN, dtype=np.int64)
    for number, members in enumerate(groups):
        table[np.array(members) + 1] = number
    return table


def layout(root: Path) -> str | None:
    """Return the layout below ``root``; None if there is none."""
    folder = root / FOLDER
    if (folder / "train" / "image").is_dir():
        return ARRAYS
    return PICTURES if (folder / "leftImg8bit" / "train").is_dir() else None


def names(root: Path, kind: str, split: str) -> list[str]:
    """Return the views of ``split`` ("train" or "test"), sorted. Raises RequestError for a folder without any."""
    side = SIDES[split]
    if kind == ARRAYS:
        folder = root / FOLDER / side / "image"
        found = sorted((p.stem for p in folder.glob("*.npy")), key=lambda stem: (len(stem), stem))
        wanted = "*.npy"
    else:
        folder = root / FOLDER / "leftImg8bit" / side
        ending = "_leftImg8bit.png"
        found = sorted(f"{p.parent.name}/{p.name.removesuffix(ending)}" for p in folder.glob(f"*/*{ending}"))
        wanted = f"CITY/*{ending}"
    if not found:
        raise RequestError(f"{folder}: no {wanted} there")
    return found


@dataclass(frozen=True)
class CityscapesViews:
    """A decoder of views.

    It returns the picture (3, 128, 256) uint8, ``segmentation`` (128, 256) int64 with 7 or 19 ``classes``, and
    ``depth``, inverse, in 1/m (1, 128, 256). Raises RequestError that names a file that is missing, damaged or of
    another shape.
    """

    root: Path
    kind: str
    split: str
    views: tuple[str, ...]
    classes: int

    def __call__(self, position: int) -> Sample:
        name, side = self.views[position], SIDES[self.split]
        read = self._arrays if self.kind == ARRAYS else self._pictures
        picture, label, depth = read(name, side)
        targets = {"segmentation": torch.from_numpy(label), "depth": torch.from_numpy(depth)[None]}
        return torch.from_numpy(picture), targets

    def _arrays(self, name: str, side: str) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.float32]]:
        folder = self.root / FOLDER / side
        picture = array(folder / "image" / f"{name}.npy", (HEIGHT, WIDTH, 3))
        places = [folder / kind for kind in LABELS[self.classes]]
        place = next((p for p in places if p.is_dir()), places[0])
        path = place / f"{name}.npy"
        label = array(path, (HEIGHT, WIDTH))
        label = np.where(label == 255, UNKNOWN, label)
        wrong = label[(label < UNKNOWN) | (label >= self.classes) | (label != np.rint(label))]
        if len(wrong):
            raise RequestError(f"{path}: holds class {wrong[0]:g}; {self.classes} classes are 0 to {self.classes - 1}")
        depth = array(folder / "depth" / f"{name}.npy", (HEIGHT, WIDTH, 1))[..., 0]
        shown = np.rint(255 * picture.clip(0, 1)).astype(np.uint8).transpose(2, 0, 1)
        return np.ascontiguousarray(shown), label.astype(np.int64), depth.clip(0).astype(np.float32)

    def _pictures(self, name: str, side: str) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.float32]]:
        from PIL.Image import Resampling

        folder = self.root / FOLDER
        picture = pixels(folder / "leftImg8bit" / side / f"{name}_leftImg8bit.png", "RGB", Resampling.BILINEAR)
        path = folder / "gtFine" / side / f"{name}_gtFine_labelIds.png"
        identifiers = pixels(path, "L", Resampling.NEAREST).astype(np.int64)
        identifiers = np.where(identifiers == 255, -1, identifiers)  # -1, the licence plate, in 8 bits
        if int(identifiers.max()) >= IDENTIFIERS:
            raise RequestError(f"{path}: holds label {identifiers.max()}; Cityscapes has 0 to {IDENTIFIERS - 1}")
        place = folder / "disparity" / side / f"{name}_disparity.png"
        stored = pixels(place, "I", Resampling.NEAREST).astype(np.float32)
        disparity = np.where(stored > 0, (stored - 1) / 256, 0)
        label = class_table(self.classes)[identifiers + 1]
        inverse = (disparity / FOCAL_TIMES_BASELINE).astype(np.float32)
        return np.ascontiguousarray(picture.transpose(2, 0, 1)), label, inverse


def array(path: Path, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Read an .npy file of finite numbers of that shape, without unpickling. Raises RequestError that names it."""
    files.check_regular(path)
    try:
        with open(path, "rb") as handle:  # numpy leaves a file open that begins like a zip and is none
            values = np.load(handle, allow_pickle=False)
    except _UNREADABLE as error:
        raise RequestError(f"{path}: cannot be read as an array: {str(error).splitlines()[0]}") from None
    if not isinstance(values, np.ndarray) or values.shape != shape or values.dtype.kind not in "fiu":
        found = getattr(values, "shape", type(values).__name__)
        raise RequestError(f"{path}: holds {found}, expected numbers of shape {shape}")
    numbers = values.astype(np.float64)
    strange = int((~np.isfinite(numbers)).sum())
    if strange:  # clipping keeps a nan, and the loss would be nan with no file named
        raise RequestError(f"{path}: {strange} of its numbers are nan or infinite, expected finite ones")
    return numbers


def pixels(path: Path, mode: str, resampling: Image.Resampling) -> NDArray[np.generic]:
    """Read a picture at 128 x 256 in that mode. Raises RequestError that names the file."""
    from PIL import Image, UnidentifiedImageError

    files.check_regular(path)
    try:
        with Image.open(path) as image:
            held = image.convert(mode) if image.mode != mode else image.copy()
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise RequestError(f"{path}: cannot be read as an image: {str(error).splitlines()[0]}") from None
    return np.asarray(held.resize((WIDTH, HEIGHT), resampling) if held.size != (WIDTH, HEIGHT) else held)


def picture_statistics(views: CityscapesViews, most: int = 256) -> tuple[list[float], list[float]]:
    """Return mean and deviation of each channel (0 to 255) over at most ``most`` evenly spaced pictures."""
    chosen = torch.linspace(0, len(views.views) - 1, min(most, len(views.views))).long().tolist()
    stack: list[Tensor] = [views(k)[0].double().flatten(1) for k in chosen]
    mean = torch.stack([p.mean(1) for p in stack]).mean(0)
    square = torch.stack([p.square().mean(1) for p in stack]).mean(0)
    return mean.tolist(), (square - mean.square()).clamp_min(1e-6).sqrt().tolist()
