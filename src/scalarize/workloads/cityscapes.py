"""Cityscapes: semantic segmentation (7 or 19 classes) and inverse depth at 128 x 256.

Settings of Kurin et al. (2022), section 4.1 and appendix C: dilated ResNet-50, DeepLab heads with one dropout layer,
Adam with learning rate 5e-4 and no decay, batch 32, 100 epochs, l2 1e-5 (of plain training), each metric tested at its
own best validation epoch. As in Xin et al. (2022), 595 of the 2,975 training pictures (one in five) are set aside for
validation, and the published validation split is the test split. Not as in these papers: the encoder starts from random
weights (theirs from those of ImageNet, which are not fetched here), and the fifth is drawn with ``split_seed`` (Kurin's
scripts hold out the last one). Our choice: inverse depth in 1/m follows from the nominal numbers of the stereo camera
if the layout stores disparities.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from scalarize.learners.recipe import OptimizerRecipe, Recipe
from scalarize.tasks.samples import split_groups
from scalarize.tasks.task import Data, Domain
from scalarize.utils.errors import RequestError
from scalarize.workloads import dense_tasks, sizes
from scalarize.workloads.base import Workload
from scalarize.workloads.datasets import cityscapes, imagined
from scalarize.workloads.datasets.streamed import Streamed
from scalarize.workloads.models.dilated import dense_model

REMEDY = (
    "put MTAN's arrays (train/image/0.npy, ...) or the published pictures (leftImg8bit, gtFine, disparity) there; "
    "https://www.cityscapes-dataset.com asks for registration"
)
HELD = 0.2


def load(settings: Mapping[str, Any], root: Path) -> Data:
    """Load both tasks. Raises RequestError if the data are missing; a damaged file is named when it is read."""
    kind, classes, workers = cityscapes.layout(root), settings["classes"], settings["workers"]
    cityscapes.class_table(classes)
    if kind is None:
        raise RequestError(f"{root / cityscapes.FOLDER}: no Cityscapes there: {REMEDY}")
    views = {
        split: cityscapes.CityscapesViews(root, kind, split, tuple(cityscapes.names(root, kind, split)), classes)
        for split in cityscapes.SIDES
    }
    train, held = split_groups(torch.arange(len(views["train"].views)), (1 - HELD, HELD), settings["split_seed"])
    splits = {
        "train": Streamed(views["train"], train, workers),
        "validation": Streamed(views["train"], held, workers),
        "test": Streamed(views["test"], torch.arange(len(views["test"].views)), workers),
    }
    mean, deviation = cityscapes.picture_statistics(views["train"])
    tasks = (dense_tasks.segmentation(classes), dense_tasks.depth())
    return Data.multi_task(tasks, Domain("streets", splits), mean=mean, deviation=deviation)


def shape(settings: Mapping[str, Any]) -> Data:
    """Imagine as many views as are published."""
    size, classes, middle = (cityscapes.HEIGHT, cityscapes.WIDTH), settings["classes"], [127.5] * 3
    counts = {"train": 2_380, "validation": 595, "test": 500}
    targets = {"segmentation": imagined.classes(classes, *size), "depth": imagined.numbers(1, *size)}
    domain = Domain("streets", imagined.splits(counts, imagined.pictures(3, *size), targets))
    tasks = (dense_tasks.segmentation(classes), dense_tasks.depth())
    return imagined.unseen(Data.multi_task(tasks, domain, mean=middle, deviation=middle))


def build(settings: Mapping[str, Any], data: Data) -> nn.Module:
    """Build a shared dilated ResNet with one head per task."""
    return dense_model(settings, {t.name: t.outputs for t in data.tasks}, data.info["mean"], data.info["deviation"])


def missing(root: Path) -> str | None:
    """Say what to do if neither layout is present."""
    return None if cityscapes.layout(root) else f"{root / cityscapes.FOLDER}: {REMEDY}"


WORKLOADS = (
    Workload(
        name="cityscapes",
        kind="multi-task",
        objectives=("segmentation", "depth"),
        size="2,975 training views of 128 x 256",
        provenance="Cityscapes (Cordts et al. 2016), for non-commercial research; registration needed",
        recipe=Recipe(
            optimizer=OptimizerRecipe(name="adam", lr=5e-4, weight_decay=1e-5),
            epochs=100,
            batch_size=32,
            selection="per-metric",
            model={"depth": 50, "width": 1.0, "head": "deeplab", "rates": [12, 24, 36], "dropout": 0.5},
            data={"classes": 7, "split_seed": 0, "workers": 2},
        ),
        load=load,
        shape=shape,
        build=build,
        sizes=sizes.WIDTHS,
        missing=missing,
        packages=("PIL", "timm", "torchvision"),
    ),
)
