"""Taskonomy's tiny split: seven dense tasks on indoor views (Royer et al. 2023, section 3.3 and appendix 1.2).

From the paper: annotations shifted and scaled to mean 0 and variance 1 over the training set, L1 as loss and metric,
ResNet-26 with mirrored decoders of which 0, 2 or 4 layers are shared, SGD with momentum 0.9, learning rate 0.1 and
weight decay 1e-4, batch 256, 100 epochs. Our choices, where it is silent: the seven tasks (it names depth and 2D
segmentation), 256 pixels as in Standley et al. (2020), mirrored views, cosine decay, depth cut at 15.6 m, the last
epoch tested as on the paper's other data (it speaks of no early stopping), encoders of 50 and 101 layers besides (it
sweeps "the depth of the encoder" and names ResNet-26 alone).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from scalarize.learners.recipe import OptimizerRecipe, Recipe, ScheduleRecipe
from scalarize.tasks import metrics
from scalarize.tasks.samples import Batch
from scalarize.tasks.task import Data, Domain, Task
from scalarize.workloads import sizes
from scalarize.workloads.base import Workload
from scalarize.workloads.datasets import imagined, taskonomy
from scalarize.workloads.datasets.augment import flips, mirrored
from scalarize.workloads.datasets.streamed import Streamed
from scalarize.workloads.models.multihead import MultiHead
from scalarize.workloads.models.resnet import dense
from scalarize.workloads.models.standardise import Standardise

IMAGENET = ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375])
REMEDY = "put Taskonomy there: a folder a kind of annotation, a folder a building, and the list of its tiny split"


def dense_task(name: str, channels: int) -> Task:
    """Make a task of maps (B, channels, H, W), with the mean absolute error as loss and metric."""

    def constant(target: Tensor) -> float:
        by_channel = target.double().transpose(0, 1).flatten(1)
        middle = by_channel.median(dim=1, keepdim=True).values
        return float((by_channel - middle).abs().mean())

    return Task(
        name, channels, functional.l1_loss, metrics.AbsoluteError, "l1", higher_is_better=False, constant_loss=constant
    )


TASKS = tuple(dense_task(name, channels) for name, channels in taskonomy.CHANNELS.items())


@dataclass(frozen=True)
class Mirror:
    """An augmentation that mirrors a view and its annotations; normals then point the other way along x.

    ``turned`` holds mean and deviation of the normals' first channel, which is stored as 127.5 (1 + x).
    """

    turned: tuple[float, float]

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        which = flips(len(batch), generator, batch.inputs.device)
        targets = {k: mirrored(v, which) for k, v in batch.targets.items()}
        mean, deviation = self.turned
        normal = targets["normal"].clone()
        normal[which, 0] = (255 - 2 * mean) / deviation - normal[which, 0]
        return replace(batch, inputs=mirrored(batch.inputs, which), targets=targets | {"normal": normal})


def load(settings: Mapping[str, Any], root: Path) -> Data:
    """Load all seven tasks on the buildings of the tiny split; a building is never split apart."""
    side = settings["side"]
    names = taskonomy.buildings(root)
    views = {split: taskonomy.views(root, found) for split, found in names.items()}
    scales = taskonomy.statistics(root, views["train"], side)
    numbers = {b: k for k, b in enumerate(sorted({b for found in names.values() for b in found}))}
    splits = {}
    for split, found in views.items():
        groups = torch.tensor([numbers[view.partition("/")[0]] for view in found])
        decode = taskonomy.TaskonomyViews(root, tuple(found), side, scales)
        splits[split] = Streamed(decode, torch.arange(len(found)), settings["workers"], groups)
    mean, deviation = scales["normal"]
    augment = Mirror((mean[0], deviation[0])) if settings["mirror"] else None
    return Data.multi_task(TASKS, Domain("views", splits, augment))


COUNTS = {"train": 275_000, "validation": 52_000, "test": 54_000}  # of views, rounded


def shape(settings: Mapping[str, Any]) -> Data:
    """Imagine about as many views as the tiny split has."""
    side = settings["side"]
    targets = {t.name: imagined.numbers(t.outputs, side, side) for t in TASKS}
    domain = Domain("views", imagined.splits(COUNTS, imagined.pictures(3, side, side), targets))
    return imagined.unseen(Data.multi_task(TASKS, domain))


def build(settings: Mapping[str, Any], data: Data) -> nn.Module:
    """Build a shared ResNet and decoder layers, and the rest of a decoder per task."""
    outputs = [t.outputs for t in data.tasks]
    encoder, heads = dense(outputs, settings["shared_decoder"], settings["width"], settings["depth"])
    body = nn.Sequential(Standardise(*IMAGENET), encoder)
    return MultiHead(body, {t.name: head for t, head in zip(data.tasks, heads, strict=True)})


def missing(root: Path) -> str | None:
    """Name the list, or the first folder, that is missing."""
    folder = root / taskonomy.FOLDER
    wanted = [folder / taskonomy.LIST, folder / "rgb", *(folder / kind for kind in taskonomy.CHANNELS)]
    absent = next((p for p in wanted if not p.exists()), None)
    return None if absent is None else f"{absent}: {REMEDY}"


WORKLOADS = (
    Workload(
        name="taskonomy-tiny",
        kind="multi-task",
        objectives=tuple(taskonomy.CHANNELS),
        size="275,000 training views, here of 256 px",
        provenance="Taskonomy (Zamir et al. 2018), tiny split, as published",
        recipe=Recipe(
            optimizer=OptimizerRecipe(name="sgd", lr=0.1, weight_decay=1e-4, momentum=0.9),
            schedule=ScheduleRecipe(name="cosine"),
            epochs=100,
            batch_size=256,
            selection="last",
            model={"depth": 26, "width": 1.0, "shared_decoder": 0},
            data={"side": 256, "mirror": True, "workers": 2},
        ),
        load=load,
        shape=shape,
        build=build,
        sizes=sizes.DECODERS,
        missing=missing,
        packages=("PIL", "timm", "torchvision"),
    ),
)
