"""Two overlaid images, two tasks: Multi-MNIST (Sener and Koltun 2018), and the same on Fashion-MNIST.

As in the authors' code: the left image in the top left corner of 36 x 36 pixels, the right one 6 pixels further down
and to the right, the maximum of both, resampled to 28 x 28 by nearest neighbours. (That code also stretches each
picture to the full range of 8 bits, and draws partners with replacement.) The recipe is that of Kurin et al. (2022),
appendix C (Adam, 1e-2 decayed by 0.95 per epoch, batch 256, 100 epochs, dropout 0.5). Our choices: every image of a
split is the left one once, its partner is drawn with ``split_seed``; 20 % of the training images are set aside for
validation before they are paired, so that no image is in two splits (Xin et al. 2022 have 48,000 and 12,000 too, the
scripts of Kurin et al. 50,000 and 10,000). ``data.share`` uses only that share of the pictures of every split.
``multi-fashion-backbone`` has the residual networks and vision transformers of Royer et al. (2023).
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from scalarize.learners.recipe import OptimizerRecipe, Recipe, ScheduleRecipe
from scalarize.tasks.kinds import multiclass
from scalarize.tasks.samples import TensorTable
from scalarize.tasks.task import Data, Domain
from scalarize.utils.errors import RequestError
from scalarize.workloads import sizes
from scalarize.workloads.base import Workload
from scalarize.workloads.datasets import fashion, idx, images, imagined
from scalarize.workloads.models.backbone import classifier
from scalarize.workloads.models.lenet import lenet, lenet_head, stages
from scalarize.workloads.models.sharing.body import Body
from scalarize.workloads.models.sharing.build import share
from scalarize.workloads.models.sharing.names import ALL
from scalarize.workloads.models.standardise import Standardise

CANVAS, OFFSET, SIDE = 36, 6, 28
TASKS = (multiclass("left", 10), multiclass("right", 10))


def overlay(left: Tensor, right: Tensor) -> Tensor:
    """Overlay two images, uint8 (N, 28, 28) each, to (N, 1, 28, 28): left at the top left, right 6 pixels from it.

    Overlapping pixels take the maximum; the canvas of 36 x 36 pixels is resampled by nearest neighbours.
    """
    canvas = left.new_zeros((2, len(left), 1, CANVAS, CANVAS))
    canvas[0, :, 0, : left.shape[1], : left.shape[2]] = left
    canvas[1, :, 0, OFFSET : OFFSET + right.shape[1], OFFSET : OFFSET + right.shape[2]] = right
    nearest = ((torch.arange(SIDE) + 0.5) * CANVAS / SIDE).long()
    return canvas.amax(0)[:, :, nearest][:, :, :, nearest]


def pairs(pictures: Tensor, labels: Tensor, generator: torch.Generator) -> TensorTable:
    """Pair each picture as the left one with a right one from a random permutation."""
    partner = torch.randperm(len(pictures), generator=generator)
    return TensorTable(overlay(pictures, pictures[partner]), {"left": labels, "right": labels[partner]})


@functools.lru_cache(maxsize=2)
def _splits(folders: tuple[Path, ...], remedy: str, seed: int, share: float) -> dict[str, TensorTable]:
    pictures, labels = idx.images_and_labels(folders, "train", remedy)
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(pictures), generator=generator)[: round(share * len(pictures))]
    held = round(0.2 * len(order))
    splits = {
        "train": pairs(pictures[order[held:]], labels[order[held:]], generator),
        "validation": pairs(pictures[order[:held]], labels[order[:held]], generator),
    }
    pictures, labels = idx.images_and_labels(folders, "test", remedy)
    kept = round(share * len(pictures))
    return splits | {"test": pairs(pictures[:kept], labels[:kept], generator)}


def loader(folders: Callable[[Path], list[Path]], remedy: str) -> Callable[[Mapping[str, Any], Path], Data]:
    """Make the ``load`` of the data set in one of ``folders``."""

    def load(settings: Mapping[str, Any], root: Path) -> Data:
        share = settings["share"]
        if not 0.001 <= share <= 1:
            raise RequestError(f"`settings` data.share={share}: the share of the pictures that is used, 0.001 to 1")
        splits = _splits(tuple(folders(root)), remedy, settings["split_seed"], share)
        mean, deviation = images.channel_statistics(splits["train"].inputs)
        return Data.multi_task(TASKS, Domain("pairs", splits), mean=mean, deviation=deviation)

    return load


def shape(settings: Mapping[str, Any]) -> Data:
    """Imagine as many pairs as both data sets have pictures."""
    counts = {s: round(settings["share"] * n) for s, n in (("train", 48_000), ("validation", 12_000), ("test", 10_000))}
    targets = {t.name: imagined.classes(t.outputs) for t in TASKS}
    domain = Domain("pairs", imagined.splits(counts, imagined.pictures(1, SIDE, SIDE), targets))
    return imagined.unseen(Data.multi_task(TASKS, domain, mean=[127.5], deviation=[127.5]))


def build(settings: Mapping[str, Any], data: Data) -> nn.Module:
    """Build Sener and Koltun's LeNet with a head of two linear layers for each side."""
    dropout, prepare = settings["dropout"], Standardise(data.info["mean"], data.info["deviation"])
    return share(
        settings,
        lambda: nn.Sequential(prepare, lenet(SIDE, dropout=dropout)),
        lambda: Body(prepare, stages(SIDE, dropout=dropout), (1, SIDE, SIDE)),
        lambda: {t.name: lenet_head(t.outputs, dropout=dropout) for t in data.tasks},
    )


def build_backbone(settings: Mapping[str, Any], data: Data) -> nn.Module:
    """Build a ResNet or a vision transformer with a linear head for each side; gray is given to all three channels."""
    mean, deviation = (3 * list(data.info[key]) for key in ("mean", "deviation"))
    return classifier(settings, {t.name: t.outputs for t in data.tasks}, SIDE, mean, deviation)


def finder(folders: Callable[[Path], list[Path]], remedy: str) -> Callable[[Path], str | None]:
    """Make the ``missing`` that names the first file that is in none of ``folders``."""

    def missing(root: Path) -> str | None:
        return _first_missing(folders(root), remedy)

    return missing


def _first_missing(folders: Sequence[Path], remedy: str) -> str | None:
    absent = next((n for n in fashion.NAMES if idx.find(folders, n) is None), None)
    return None if absent is None else f"{folders[0] / absent}.gz: {remedy}"


RECIPE = Recipe(
    optimizer=OptimizerRecipe(name="adam", lr=1e-2),
    schedule=ScheduleRecipe(name="exponential", decay=0.95),
    epochs=100,
    batch_size=256,
    model={"dropout": 0.5},
    data={"split_seed": 0, "share": 1.0},
)
DEEP = RECIPE.model_copy(
    update={
        "optimizer": OptimizerRecipe(name="adamw", lr=1e-3, weight_decay=0.05),
        "schedule": ScheduleRecipe(name="cosine", warmup=1),
        "epochs": 30,
        "batch_size": 64,
        "model": {"family": "resnet", "depth": 26, "width": 0.25},
    }
)
_FASHION = "run `scalarize data get multi-fashion`, or install Debian's dataset-fashion-mnist"
_MNIST = f"run `scalarize data get multi-mnist`, or put MNIST's four files there: {fashion.MNIST_FILES}"

FASHION = Workload(
    name="multi-fashion",
    kind="multi-task",
    objectives=("left", "right"),
    size="70,000 pairs of 28 px",
    provenance="Fashion-MNIST (Zalando SE, MIT licence), pairs overlaid as in Sener and Koltun (2018)",
    recipe=RECIPE,
    load=loader(fashion.fashion_folders, _FASHION),
    shape=shape,
    build=build,
    sharing=ALL,
    missing=finder(fashion.fashion_folders, _FASHION),
    get=fashion.get_fashion,
)
WORKLOADS = (
    FASHION,
    dataclasses.replace(
        FASHION,
        name="multi-fashion-backbone",
        recipe=DEEP,
        build=build_backbone,
        sizes=sizes.SMALL,
        packages=("timm",),
    ),
    Workload(
        name="multi-mnist",
        kind="multi-task",
        objectives=("left", "right"),
        size="70,000 pairs of 28 px",
        provenance="MNIST (LeCun et al.), pairs overlaid as in Sener and Koltun (2018)",
        recipe=RECIPE,
        load=loader(fashion.mnist_folders, _MNIST),
        shape=shape,
        build=build,
        sharing=ALL,
        missing=finder(fashion.mnist_folders, _MNIST),
        get=fashion.get_mnist,
    ),
)
