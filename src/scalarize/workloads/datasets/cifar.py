"""CIFAR-10 and STL-10 in their published binary layouts, with one order of classes for both."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scalarize.utils import files
from scalarize.utils.errors import RequestError

CIFAR_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
STL_CLASSES = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")
# STL's class -> CIFAR's: a car is an automobile, and the monkey takes the class of the frog, which STL lacks
STL_TO_CIFAR = (0, 2, 1, 3, 4, 5, 7, 6, 8, 9)
PYTHON, BINARY, STL = "cifar-10-batches-py", "cifar-10-batches-bin", "stl10_binary"
SPLITS = {"train": [f"data_batch_{k}" for k in range(1, 6)], "test": ["test_batch"]}
STL_FILES = {"train": ("train_X.bin", "train_y.bin"), "test": ("test_X.bin", "test_y.bin")}


class _Arrays(pickle.Unpickler):
    """An unpickler of numpy arrays and builtin containers; nothing else in a pickle is ever called."""

    _KNOWN = {
        ("numpy.core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "_reconstruct"),
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
        ("_codecs", "encode"),
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._KNOWN:
            raise pickle.UnpicklingError(f"{module}.{name} has no place in it")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def cifar_folder(root: Path) -> Path:
    """Return the folder that holds CIFAR-10: the python version, unless only the binary one is there."""
    python, binary = root / PYTHON, root / BINARY
    return binary if binary.is_dir() and not python.is_dir() else python


def cifar_files(root: Path) -> list[Path]:
    """Return the six files that are read."""
    folder = cifar_folder(root)
    suffix = ".bin" if folder.name == BINARY else ""
    return [folder / f"{name}{suffix}" for names in SPLITS.values() for name in names]


def cifar(root: Path, split: str) -> tuple[Tensor, Tensor]:
    """Return images (N, 3, 32, 32) uint8 and labels (N,) int64. Raises RequestError that names a bad file."""
    names = {f"{n}{s}" for n in SPLITS[split] for s in ("", ".bin")}
    read = _cifar_binary if cifar_folder(root).name == BINARY else _cifar_python
    parts = [read(path) for path in cifar_files(root) if path.name in names]
    return torch.cat([p[0] for p in parts]), torch.cat([p[1] for p in parts])


def _cifar_binary(path: Path) -> tuple[Tensor, Tensor]:
    rows = np.frombuffer(files.read_bytes(path), np.uint8)
    if not len(rows) or len(rows) % 3073:
        raise RequestError(f"{path}: {len(rows)} bytes are no whole number of samples of 3073 bytes")
    table = torch.from_numpy(rows.reshape(-1, 3073).copy())
    return _checked(path, table[:, 1:], table[:, 0])


def _cifar_python(path: Path) -> tuple[Tensor, Tensor]:
    content = files.read_bytes(path)
    try:
        batch = _Arrays(io.BytesIO(content), encoding="bytes").load()
        batch = {(k.decode() if isinstance(k, bytes) else k): v for k, v in batch.items()}
        pixels, labels = torch.from_numpy(np.array(batch["data"])), torch.tensor(batch["labels"])
    except (pickle.UnpicklingError, EOFError, KeyError, ValueError, TypeError, AttributeError, IndexError) as error:
        raise RequestError(f"{path}: not a batch of CIFAR-10 (python version): {error}") from None
    return _checked(path, pixels, labels)


def _checked(path: Path, pixels: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    if pixels.dtype != torch.uint8 or pixels.ndim != 2 or pixels.shape[1] != 3072 or len(labels) != len(pixels):
        raise RequestError(f"{path}: expected rows of 3072 bytes with a label each, got {list(pixels.shape)}")
    if int(labels.max()) > 9:
        raise RequestError(f"{path}: holds a label above 9")
    return pixels.reshape(-1, 3, 32, 32), labels.long()


def stl_paths(root: Path) -> list[Path]:
    """Return the four files that are read."""
    return [root / STL / name for names in STL_FILES.values() for name in names]


def stl(root: Path, split: str) -> tuple[Tensor, Tensor]:
    """Return images (N, 3, 96, 96) uint8 and labels (N,) int64 in CIFAR's order. Raises RequestError that names the
    file.
    """
    picture_path, label_path = (root / STL / name for name in STL_FILES[split])
    values = np.frombuffer(files.read_bytes(picture_path), np.uint8)
    labels = torch.from_numpy(np.frombuffer(files.read_bytes(label_path), np.uint8).copy()).long()
    if not len(values) or len(values) % (3 * 96 * 96):
        raise RequestError(f"{picture_path}: {len(values)} bytes are no whole number of images of {3 * 96 * 96} bytes")
    # published column by column
    pictures = torch.from_numpy(values.reshape(-1, 3, 96, 96).copy()).transpose(2, 3).contiguous()
    if len(labels) != len(pictures) or int(labels.min()) < 1 or int(labels.max()) > 10:
        raise RequestError(f"{label_path}: expected {len(pictures)} labels from 1 to 10, got {len(labels)}")
    return pictures, torch.tensor(STL_TO_CIFAR)[labels - 1]
