"""Views of 44 rendered robot scenes: classes, depth and normals; a stand-in for street scenes that needs no download.

The benchmark is our own: the recipe follows Kurin et al. (2022) on Cityscapes (Adam, no decay, one dropout layer in the
heads, each metric tested at its own best epoch) with a small dilated ResNet-26. Whole scenes are held out, by
``split_seed``.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from scalarize.learners.recipe import OptimizerRecipe, Recipe
from scalarize.tasks.samples import Batch, split_groups
from scalarize.tasks.task import Data, Domain
from scalarize.utils.errors import RequestError, unknown_name_error
from scalarize.workloads import dense_tasks, sizes
from scalarize.workloads.base import Workload
from scalarize.workloads.datasets import images, manifest, rendered
from scalarize.workloads.models.dilated import dense_model

TASKS = (dense_tasks.segmentation(len(rendered.CLASSES)), dense_tasks.depth(), dense_tasks.normals())
SHARES = {"train": 0.7, "validation": 0.15, "test": 0.15}


@dataclass(frozen=True)
class Frames:
    """Frames in their compact stored form; :meth:`batch` makes targets of them. ``groups`` (N,) holds the scene."""

    kept: Mapping[str, Tensor]

    @property
    def groups(self) -> Tensor:
        """The scene of each frame."""
        return self.kept["scene"]

    def __len__(self) -> int:
        return len(self.kept["scene"])

    def batch(self, indices: Tensor) -> Batch:
        """Return pictures (B, 3, H, W) uint8; classes int64, UNKNOWN if nothing is seen; depth in metres; normals."""
        classes = self.kept["classes"][indices].long()
        targets = {
            "segmentation": torch.where(classes == rendered.NOTHING, dense_tasks.UNKNOWN, classes),
            "depth": self.kept["depth"][indices].float().unsqueeze(1),
            "normals": self.kept["normals"][indices].float() / 127,
        }
        return Batch(self.kept["rgb"][indices], targets)

    def select(self, indices: Tensor) -> Frames:
        return Frames({key: values[indices] for key, values in self.kept.items()})


@functools.lru_cache(maxsize=1)
def _splits(root: Path, seed: int, stamp: float) -> dict[str, Frames]:
    content = rendered.load(root)
    frames = Frames({key: value for key, value in content.items() if key != "names"})
    places = split_groups(frames.groups, list(SHARES.values()), seed)
    return {split: frames.select(place) for split, place in zip(SHARES, places, strict=True)}


def load(settings: Mapping[str, Any], root: Path) -> Data:
    """Load all three tasks; 70 % of the scenes to train on, 15 % each for validation and test."""
    path = root / rendered.FOLDER / rendered.FILE
    splits = _splits(root, settings["split_seed"], path.stat().st_mtime if path.is_file() else 0.0)
    mean, deviation = images.channel_statistics(splits["train"].kept["rgb"])
    return Data.multi_task(TASKS, Domain("scenes", splits), mean=mean, deviation=deviation)


def build(settings: Mapping[str, Any], data: Data) -> nn.Module:
    """Build a shared dilated ResNet with one head per task."""
    return dense_model(settings, {t.name: t.outputs for t in data.tasks}, data.info["mean"], data.info["deviation"])


def missing(root: Path) -> str | None:
    """Say what to do if no finished build is there."""
    folder = root / rendered.FOLDER
    return None if manifest.present(folder, rendered.FILE) else f"{folder / rendered.FILE}: {rendered.REMEDY}"


def get(root: Path, options: Mapping[str, Any]) -> Path:
    """Render the scenes. Options: ``frames`` (10,000 in all) and ``seed``. Raises RequestError for others."""
    known = {"frames": rendered.FRAMES, "seed": 0}
    for key, value in options.items():
        if key != "accept_licence" and key not in known:
            raise unknown_name_error("setting", key, known, where=" in `settings`")
        if key in known and (not isinstance(value, int) or value < (key == "frames")):
            raise RequestError(f"`settings` {key}={value}: a whole number from {int(key == 'frames')}")
    return rendered.build(root, options.get("frames", rendered.FRAMES), options.get("seed", 0))


WORKLOADS = (
    Workload(
        name="rendered-scenes",
        kind="multi-task",
        objectives=tuple(t.name for t in TASKS),
        size="about 10,000 views of 64 px",
        provenance="44 scenes of the metaworld wheel (MIT), rendered here by mujoco; see its manifest.json",
        recipe=Recipe(
            optimizer=OptimizerRecipe(name="adam", lr=5e-4),
            epochs=30,
            batch_size=32,
            selection="per-metric",
            model={"depth": 26, "width": 0.125, "head": "deeplab", "rates": [1, 2, 3], "dropout": 0.5},
            data={"split_seed": 0},
        ),
        load=load,
        build=build,
        sizes=sizes.NARROW,
        missing=missing,
        get=get,
        packages=("PIL", "timm", "torchvision"),
    ),
)
