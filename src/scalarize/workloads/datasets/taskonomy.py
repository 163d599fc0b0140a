"""Taskonomy as published: for each kind of annotation a folder of buildings, for each view a PNG.

taskonomy/train_val_test_tiny.csv                             id,train,val,test
taskonomy/rgb/BUILDING/point_0_view_0_domain_rgb.png
taskonomy/depth_zbuffer/BUILDING/point_0_view_0_domain_depth_zbuffer.png

The list and the folders are named as in the data set's description (github.com/StanfordVL/taskonomy, data/README.md and
its splits_taskonomy.zip), the files as in its sample building (github.com/alexsax/taskonomy-sample-model-1). The
download tool named there puts buildings one folder deeper, into rgb/taskonomy/BUILDING; that is read, too.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from scalarize.utils import files
from scalarize.utils.errors import RequestError, RunError
from scalarize.workloads.datasets import images
from scalarize.workloads.datasets.streamed import Sample

FOLDER = "taskonomy"
LIST = "train_val_test_tiny.csv"
COLUMNS = {"train": "train", "validation": "val", "test": "test"}
CHANNELS = {
    "depth_zbuffer": 1,
    "edge_occlusion": 1,
    "keypoints2d": 1,
    "normal": 3,
    "principal_curvature": 2,
    "reshading": 1,
    "segment_unsup2d": 1,
}
LOST = ("woodbine",)  # listed, but its files are no longer available (github.com/EPFL-VILAB/omnidata, issue 3)
FARTHEST = 8000.0  # in 1/512 m: unseen pixels are stored as the largest depth, which would set the scale
STATISTICS_FROM = 1000

Statistics = dict[str, tuple[list[float], list[float]]]


def buildings(root: Path) -> dict[str, list[str]]:
    """Return split -> buildings. Raises RequestError that names the list, and its line, if it is missing or damaged."""
    path = root / FOLDER / LIST
    files.check_regular(path)
    try:
        with open(path, newline="", encoding="utf-8") as handle:
            rows = list(csv.DictReader(handle))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RequestError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    for number, row in enumerate(rows, start=2):
        if not row.get("id") or any(row.get(c) not in ("0", "1") for c in COLUMNS.values()):
            raise RequestError(f"{path}: line {number} should hold id,train,val,test, the last three 0 or 1")
    found = {split: [r["id"] for r in rows if r[column] == "1"] for split, column in COLUMNS.items()}
    empty = next((s for s, names in found.items() if not names), None)
    if empty is not None:
        raise RequestError(f"{path}: names no building for {empty}")
    return found


def views(root: Path, names: Sequence[str]) -> list[str]:
    """Return the views of the buildings, as "BUILDING/point_0_view_0"; a building that is LOST may be absent.

    Raises RequestError for a building without pictures, and for a picture or annotation that a view lacks.
    """
    found = []
    for name in names:
        folder = _folder(root, "rgb") / name
        if name in LOST and not folder.is_dir():
            continue
        here = {kind: _listed(_folder(root, kind) / name, kind) for kind in ("rgb", *CHANNELS)}
        if not here["rgb"]:
            raise RequestError(f"{folder}: no point_*_view_*_domain_rgb.png there")
        every = set().union(*here.values())
        for kind, those in here.items():
            if absent := every - those:
                path = picture(root, kind, f"{name}/{min(absent)}")
                raise RequestError(f"{path}: no such file, though the view has others")
        found += [f"{name}/{view}" for view in sorted(every)]
    return found


def _listed(folder: Path, kind: str) -> set[str]:
    end = f"_domain_{kind}.png"
    names = os.listdir(folder) if folder.is_dir() else []
    return {n.removesuffix(end) for n in names if n.startswith("point_") and n.endswith(end)}


def _folder(root: Path, kind: str) -> Path:
    deeper = root / FOLDER / kind / "taskonomy"
    return deeper if deeper.is_dir() else deeper.parent


def picture(root: Path, kind: str, view: str) -> Path:
    """Return the file of one kind of annotation of a view."""
    return _folder(root, kind) / f"{view}_domain_{kind}.png"


def annotation(path: Path, kind: str, side: int) -> Tensor:
    """Read raw values (C, side, side) float32. Raises RequestError that names a missing, damaged or unexpected file."""
    from PIL import Image, UnidentifiedImageError

    files.check_regular(path)
    try:
        with Image.open(path) as image:
            values = np.asarray(image).astype(np.float32)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise RequestError(f"{path}: cannot be read as an image: {str(error).splitlines()[0]}") from None
    values = values[..., None] if values.ndim == 2 else values
    if kind == "reshading":
        values = values[..., :3].mean(-1, keepdims=True)
    if values.shape[-1] < CHANNELS[kind]:
        raise RequestError(f"{path}: {values.shape[-1]} channels, expected {CHANNELS[kind]} of {kind}")
    if kind == "depth_zbuffer":
        values = values.clip(max=FARTHEST)
    channels = [values[..., k] for k in range(CHANNELS[kind])]
    if values.shape[:2] != (side, side):
        resized = (Image.fromarray(c).resize((side, side), Image.Resampling.BILINEAR) for c in channels)
        channels = [np.asarray(c) for c in resized]
    return torch.from_numpy(np.stack(channels))


def statistics(root: Path, train: Sequence[str], side: int) -> Statistics:
    """Return mean and deviation of each channel by kind, over at most 1,000 evenly spaced training views (our choice).

    They are kept beside the data in ``statistics-SIDE.json`` if that can be written, for these views only.
    """
    chosen = [train[k] for k in torch.linspace(0, len(train) - 1, min(len(train), STATISTICS_FROM)).long().tolist()]
    digest = hashlib.sha256("\n".join(chosen).encode()).hexdigest()
    cache = root / FOLDER / f"statistics-{side}.json"
    if cache.is_file():
        held = files.read_json(cache)
        if isinstance(held, dict) and held.get("views") == digest:
            return {kind: (held["kinds"][kind][0], held["kinds"][kind][1]) for kind in CHANNELS}
    found: Statistics = {}
    for kind, channels in CHANNELS.items():
        total, squares = torch.zeros(channels, dtype=torch.float64), torch.zeros(channels, dtype=torch.float64)
        for view in chosen:
            values = annotation(picture(root, kind, view), kind, side).double()
            total += values.mean(dim=(1, 2))
            squares += values.square().mean(dim=(1, 2))
        mean = total / len(chosen)
        deviation = (squares / len(chosen) - mean.square()).clamp_min(1e-6).sqrt()
        found[kind] = (mean.tolist(), deviation.tolist())
    try:
        files.write_text(cache, json.dumps({"views": digest, "kinds": found}) + "\n")
    except RunError:
        return found
    return found


@dataclass(frozen=True)
class TaskonomyViews:
    """A decoder of views: the picture (3, side, side) uint8, and annotations standardised by the statistics."""

    root: Path
    names: tuple[str, ...]
    side: int
    scales: Mapping[str, tuple[list[float], list[float]]]

    def __call__(self, position: int) -> Sample:
        view = self.names[position]
        targets = {}
        for kind, (mean, deviation) in self.scales.items():
            values = annotation(picture(self.root, kind, view), kind, self.side)
            targets[kind] = (values - torch.tensor(mean)[:, None, None]) / torch.tensor(deviation)[:, None, None]
        return images.read(picture(self.root, "rgb", view), self.side), targets
