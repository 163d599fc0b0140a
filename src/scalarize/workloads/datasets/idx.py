"""The IDX format of MNIST and Fashion-MNIST, gzipped or not."""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from scalarize.utils import files
from scalarize.utils.errors import RequestError

FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
SIDE, CLASSES = 28, 10
_UNSIGNED_BYTE = 8


def read(path: Path) -> Tensor:
    """Read the array of unsigned bytes in an IDX file. Raises RequestError that names a missing or damaged file."""
    try:
        content = files.read_bytes(path)
        if path.suffix == ".gz":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise RequestError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != _UNSIGNED_BYTE:
        raise RequestError(f"{path}: not an IDX file of unsigned bytes (it should begin with 00 00 08)")
    start = 4 + 4 * content[3]
    shape = [int.from_bytes(content[k : k + 4]) for k in range(4, start, 4)]
    if len(content) - start != math.prod(shape):
        raise RequestError(f"{path}: {len(content)} bytes do not hold the {shape} values that it announces")
    return torch.from_numpy(np.frombuffer(content, np.uint8, offset=start).reshape(shape).copy())


def find(folders: Sequence[Path], name: str) -> Path | None:
    """Return ``name`` or ``name.gz`` in the first folder that has it."""
    return next((f / n for f in folders for n in (name, f"{name}.gz") if (f / n).is_file()), None)


def images_and_labels(folders: Sequence[Path], split: str, remedy: str) -> tuple[Tensor, Tensor]:
    """Return images (N, 28, 28) uint8 and labels (N,) int64 of ``split``, "train" or "test".

    Raises RequestError that names folder and file if they are missing, wrong, or do not belong together.
    """
    paths = []
    for name in FILES[split]:
        path = find(folders, name)
        if path is None:
            raise RequestError(f"{folders[0] / name}.gz: not there: {remedy}")
        paths.append(path)
    images, labels = (read(p) for p in paths)
    if images.shape[1:] != (SIDE, SIDE):
        raise RequestError(f"{paths[0]}: holds {list(images.shape)}, expected images of {SIDE} x {SIDE}")
    if labels.shape != images.shape[:1]:
        raise RequestError(
            f"{paths[1]}: {list(labels.shape)} labels for images {list(images.shape)} in {paths[0].name}"
        )
    wrong = labels[labels >= CLASSES]
    if len(wrong):
        raise RequestError(f"{paths[1]}: holds label {int(wrong[0])}; labels are 0 to {CLASSES - 1}")
    return images, labels.long()
