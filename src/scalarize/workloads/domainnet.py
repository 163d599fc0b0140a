"""DomainNet: 345 classes in six styles of picture (Royer et al. 2023, section 3.3 and appendix 1.1).

From the paper: ResNet-101 (26 and 50 in the sweep) with width factors 0.25, 0.5 and 1, AdamW with learning rate 0.03
and weight decay 1e-4, batch 512, 30 epochs of which 5 are linear warm-up, cosine decay, epochs counted on ``real``, no
early stopping. Our choices, where it is silent: pictures resized to 224 x 224 pixels without regard to their shape,
random windows of at least a quarter of them and flips, the channel statistics of ImageNet.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from scalarize.learners.recipe import OptimizerRecipe, Recipe, ScheduleRecipe
from scalarize.tasks.kinds import multiclass
from scalarize.tasks.task import Data, Domain
from scalarize.utils import files
from scalarize.utils.errors import RequestError
from scalarize.workloads import sizes
from scalarize.workloads.base import Workload
from scalarize.workloads.datasets import images, imagined
from scalarize.workloads.datasets.augment import Augment
from scalarize.workloads.datasets.streamed import Sample, Streamed
from scalarize.workloads.models.backbone import classifier
from scalarize.workloads.models.sharing.names import ALL

FOLDER = "domainnet"
DOMAINS = ("clipart", "infograph", "painting", "quickdraw", "real", "sketch")
SPLITS = ("train", "test")
TASK = multiclass("object", 345)
IMAGENET = ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375])
REMEDY = "put DomainNet's lists (real_train.txt, ...) and unpacked pictures (real/aircraft_carrier/...) there"


@dataclass(frozen=True)
class Pictures:
    """A decoder of the picture at a position of a published list."""

    folder: Path
    names: tuple[str, ...]
    labels: tuple[int, ...]
    side: int

    def __call__(self, position: int) -> Sample:
        picture = images.read(self.folder / self.names[position], self.side)
        return picture, {TASK.name: torch.tensor(self.labels[position])}


@functools.lru_cache(maxsize=len(DOMAINS) * len(SPLITS))
def read_list(path: Path) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Return names and labels of a published list, lines "real/cat/real_1.jpg 42". RequestError names file and line."""
    try:
        lines = files.read_bytes(path).decode().splitlines()
    except RequestError as error:
        raise RequestError(f"{error}: {REMEDY}") from None
    except UnicodeDecodeError:
        raise RequestError(f"{path}: not a text file") from None
    names, labels = [], []
    for number, line in enumerate(lines, start=1):
        name, _, label = line.rpartition(" ")
        if not name or not label.isdigit() or int(label) >= TASK.outputs:
            raise RequestError(f"{path}: line {number} should be a picture's path and a label below {TASK.outputs}")
        names.append(name)
        labels.append(int(label))
    if not names:
        raise RequestError(f"{path}: holds no lines")
    first = path.parent / names[0]
    if not first.is_file():
        raise RequestError(f"{first}: not there, though {path.name} lists it: {REMEDY}")
    return tuple(names), tuple(labels)


def load(settings: Mapping[str, Any], root: Path) -> Data:
    """Load six domains with train and test; no validation split is published."""
    folder = root / FOLDER
    augment = Augment(resized_crop=settings["smallest_window"], flip=True)
    domains = []
    for name in DOMAINS:
        splits = {}
        for split in SPLITS:
            pictures = Pictures(folder, *read_list(folder / f"{name}_{split}.txt"), settings["side"])
            splits[split] = Streamed(pictures, torch.arange(len(pictures.names)), settings["workers"])
        domains.append(Domain(name, splits, augment))
    return Data.multi_domain(TASK, domains, "real", side=settings["side"])


COUNTS = {  # lines of the published lists: train, test
    **{"clipart": (33_525, 14_604), "infograph": (36_023, 15_582), "painting": (50_416, 21_850)},
    **{"quickdraw": (120_750, 51_750), "real": (120_906, 52_041), "sketch": (48_212, 20_916)},
}


def shape(settings: Mapping[str, Any]) -> Data:
    """Imagine the six domains, with as many pictures as the published lists have lines."""
    make = (imagined.pictures(3, settings["side"], settings["side"]), {TASK.name: imagined.classes(TASK.outputs)})
    domains = [Domain(d, imagined.splits(dict(zip(SPLITS, COUNTS[d], strict=True)), *make)) for d in DOMAINS]
    return imagined.unseen(Data.multi_domain(TASK, domains, "real", side=settings["side"]))


def build(settings: Mapping[str, Any], data: Data) -> nn.Module:
    """Build a ResNet with one head, all of it shared."""
    outputs = {t.name: t.outputs for t in data.tasks}
    return classifier(settings, outputs, data.info["side"], *IMAGENET, data.names)


def missing(root: Path) -> str | None:
    """Name the first list, or folder of pictures, that is missing."""
    folder = root / FOLDER
    wanted = [folder / f"{d}_{s}.txt" for d in DOMAINS for s in SPLITS] + [folder / d for d in DOMAINS]
    absent = next((p for p in wanted if not p.exists()), None)
    return None if absent is None else f"{absent}: {REMEDY}"


WORKLOADS = (
    Workload(
        name="domainnet",
        kind="multi-domain",
        objectives=DOMAINS,
        size="410,000 training images, here of 224 px",
        provenance="DomainNet (Peng et al. 2019), the published lists",
        recipe=Recipe(
            optimizer=OptimizerRecipe(name="adamw", lr=0.03, weight_decay=1e-4),
            schedule=ScheduleRecipe(name="cosine", warmup=5),
            epochs=30,
            batch_size=512,
            selection="last",
            model={"family": "resnet", "depth": 101, "width": 1.0},
            data={"side": 224, "smallest_window": 0.25, "workers": 2},
        ),
        load=load,
        shape=shape,
        build=build,
        sharing=ALL,
        sizes=sizes.RESNET,
        missing=missing,
        reference="real",
        packages=("PIL", "timm", "torchvision"),
    ),
)
