"""CIFAR-10 and STL-10 as two domains of one ten-class task (Royer et al. 2023, section 3.3 and appendix 1.1).

From the paper: STL's 5,000 labelled images at 32 pixels, epochs counted on STL, ViT-S/4, AdamW with learning rate 1e-3
and weight decay 0.05, batch 256, 300 epochs of which 30 are linear warm-up, cosine decay, no early stopping. Our
choices, where it is silent: crops padded by 4, flips and RandAugment (which it names for CelebA); STL's monkey takes
the class of CIFAR's frog, because both data sets are said to have ten classes in common.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from scalarize.learners.recipe import OptimizerRecipe, Recipe, ScheduleRecipe
from scalarize.tasks.kinds import multiclass
from scalarize.tasks.samples import TensorTable
from scalarize.tasks.task import Data, Domain
from scalarize.workloads import sizes
from scalarize.workloads.base import Workload
from scalarize.workloads.datasets import cifar, images, imagined
from scalarize.workloads.datasets.augment import Augment
from scalarize.workloads.datasets.randaugment import RandAugment
from scalarize.workloads.models.backbone import classifier
from scalarize.workloads.models.sharing.names import ALL

SIDE = 32
TASK = multiclass("object", 10)
REMEDY = "put the published files there (CIFAR-10: python or binary version; STL-10: binary files)"


@functools.lru_cache(maxsize=1)
def _read(root: Path) -> dict[str, dict[str, TensorTable]]:
    found: dict[str, dict[str, TensorTable]] = {"cifar": {}, "stl": {}}
    for split in ("train", "test"):
        for name, read in (("cifar", cifar.cifar), ("stl", cifar.stl)):
            pictures, labels = read(root, split)
            found[name][split] = TensorTable(images.resize(pictures, SIDE), {TASK.name: labels})
    return found


def load(settings: Mapping[str, Any], root: Path) -> Data:
    """Load both domains, without a validation split: none is published."""
    parts = _read(root)
    policy = RandAugment(magnitude=settings["magnitude"]) if settings["randaugment"] else None
    augment = Augment(padding=4, flip=True, policy=policy)
    mean, deviation = images.channel_statistics(torch.cat([p["train"].inputs for p in parts.values()]))
    domains = [Domain(name, splits, augment) for name, splits in parts.items()]
    return Data.multi_domain(TASK, domains, "stl", mean=mean, deviation=deviation)


def shape(settings: Mapping[str, Any]) -> Data:
    """Imagine both domains, of the published numbers of labelled images."""
    counts = {"cifar": {"train": 50_000, "test": 10_000}, "stl": {"train": 5_000, "test": 8_000}}
    make = (imagined.pictures(3, SIDE, SIDE), {TASK.name: imagined.classes(TASK.outputs)})
    domains = [Domain(name, imagined.splits(own, *make)) for name, own in counts.items()]
    middle = [127.5] * 3
    return imagined.unseen(Data.multi_domain(TASK, domains, "stl", mean=middle, deviation=middle))


def build(settings: Mapping[str, Any], data: Data) -> nn.Module:
    """Build a ViT-S/4 with one head, all of it shared."""
    outputs = {t.name: t.outputs for t in data.tasks}
    return classifier(settings, outputs, SIDE, data.info["mean"], data.info["deviation"], data.names)


def missing(root: Path) -> str | None:
    """Name the first missing file."""
    absent = next((p for p in (*cifar.cifar_files(root), *cifar.stl_paths(root)) if not p.is_file()), None)
    return None if absent is None else f"{absent}: {REMEDY}"


WORKLOADS = (
    Workload(
        name="cifar-stl",
        kind="multi-domain",
        objectives=("cifar", "stl"),
        size="55,000 training images of 32 px",
        provenance="CIFAR-10 (Krizhevsky 2009) and STL-10 (Coates et al. 2011), as published",
        recipe=Recipe(
            optimizer=OptimizerRecipe(name="adamw", lr=1e-3, weight_decay=0.05),
            schedule=ScheduleRecipe(name="cosine", warmup=30),
            epochs=300,
            batch_size=256,
            selection="last",
            model={"family": "vit", "depth": 9, "width": 1.0},
            data={"randaugment": True, "magnitude": 9},
        ),
        load=load,
        shape=shape,
        build=build,
        sharing=ALL,
        sizes=sizes.VIT,
        missing=missing,
        reference="stl",
        packages=("PIL", "timm", "torchvision"),
    ),
)
