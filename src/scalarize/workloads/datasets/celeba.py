"""CelebA as published: aligned faces, a list of 40 attributes, a list of partitions."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from scalarize.utils import files
from scalarize.utils.errors import RequestError, RunError
from scalarize.workloads.datasets import images

FOLDER = "celeba"
PICTURES, ATTRIBUTES, PARTITION = "img_align_celeba", "list_attr_celeba.txt", "list_eval_partition.txt"
SPLITS = ("train", "validation", "test")
CROP = 178  # the width of an aligned face


def attributes(root: Path) -> tuple[list[str], list[str], Tensor]:
    """Return file names (N), names of the 40 attributes, and values (N, 40) float32, 0 or 1. RequestError names the
    line.
    """
    path = root / FOLDER / ATTRIBUTES
    lines = _lines(path)
    if len(lines) < 2 or not lines[0].strip().isdigit():
        raise RequestError(f"{path}: line 1 should be the number of images")
    names = lines[1].split()
    rows = [line.split() for line in lines[2:]]
    if len(rows) != int(lines[0]):
        raise RequestError(f"{path}: line 1 announces {lines[0].strip()} images, {len(rows)} follow: cut short?")
    for number, row in enumerate(rows, start=3):
        if len(row) != len(names) + 1 or not set(row[1:]) <= {"1", "-1"}:
            raise RequestError(f"{path}: line {number} should hold a file name and {len(names)} values 1 or -1")
    values = torch.tensor([[float(v == "1") for v in row[1:]] for row in rows])
    return [row[0] for row in rows], names, values


def partition(root: Path, pictures: Sequence[str]) -> Tensor:
    """Return the split (N,) of each picture, an index into SPLITS. Raises RequestError if a picture has none."""
    path = root / FOLDER / PARTITION
    found: dict[str, int] = {}
    for number, line in enumerate(_lines(path), start=1):
        name, _, side = line.partition(" ")
        if side.strip() not in ("0", "1", "2"):
            raise RequestError(f"{path}: line {number} should be a file name and 0, 1 or 2")
        found[name] = int(side)
    absent = next((p for p in pictures if p not in found), None)
    if absent is not None:
        raise RequestError(f"{path}: no partition for {absent}, which {ATTRIBUTES} lists: cut short?")
    return torch.tensor([found[p] for p in pictures])


def _lines(path: Path) -> list[str]:
    try:
        return files.read_bytes(path).decode().splitlines()
    except UnicodeDecodeError:
        raise RequestError(f"{path}: not a text file") from None


def faces(root: Path, names: Sequence[str], side: int) -> Tensor:
    """Return the faces (N, 3, side, side) uint8: the central 178 x 178 pixels, resampled.

    They are decoded once and then cached beside the data, for these names and this side, if the folder can be written.
    Raises RequestError that names a picture that is missing or damaged.
    """
    folder = root / FOLDER
    digest = hashlib.sha256("\n".join(names).encode()).hexdigest()
    cache = folder / f"faces-{side}.pt"
    if cache.is_file():
        try:
            held = files.load_tensors(cache)
        except RequestError:
            held = {}
        if held.get("names") == digest:
            tensor: Tensor = held["images"]
            return tensor
    decoded = torch.empty((len(names), 3, side, side), dtype=torch.uint8)
    for k, name in enumerate(names):
        decoded[k] = images.read(folder / PICTURES / name, side, crop=CROP)
    try:
        files.save_tensors(cache, {"names": digest, "images": decoded})
    except RunError:
        return decoded
    return decoded
