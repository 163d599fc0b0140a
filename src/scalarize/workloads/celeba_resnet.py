"""CelebA's 40 attributes with the network and settings of Sener and Koltun (2018) and Kurin et al. (2022), appendix C.

Images of 64 pixels, ResNet-18, one linear layer per attribute; Adam, learning rate 1e-3 decayed by 0.95 per epoch,
batch 128, 50 epochs, l2 1e-3 and dropout from 0.25 to 0.5 (the settings of plain training; those of the other
optimisers are in the study), tested at the best validation epoch; no augmentation. Our choices: the central 178 x 178
pixels are resized (their scripts resize the whole face, to the nearest pixels), with one logit per attribute instead of
two. Sener and Koltun's network has no dropout: Xin et al. (2022), who follow it, set it to 0 in their study.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from scalarize.learners.recipe import OptimizerRecipe, Recipe, ScheduleRecipe
from scalarize.tasks.samples import TensorTable
from scalarize.tasks.task import Data, Domain
from scalarize.utils.errors import RequestError
from scalarize.workloads import sizes
from scalarize.workloads.base import Workload
from scalarize.workloads.celeba import ATTRIBUTES, PROVENANCE, attributes_task, imagine, missing, read
from scalarize.workloads.datasets import celeba, images
from scalarize.workloads.models.sharing.body import Body
from scalarize.workloads.models.sharing.build import share
from scalarize.workloads.models.sharing.names import ALL
from scalarize.workloads.models.small_resnet import features, small_resnet, stages, tail
from scalarize.workloads.models.standardise import Standardise


def load(settings: Mapping[str, Any], root: Path) -> Data:
    """Load all 40 attributes, one task each. Raises RequestError for a side that the network cannot divide."""
    side = settings["side"]
    if side < 32 or side % 32:
        raise RequestError(
            f"`settings` data.side={side}: the side of a face in pixels, a positive multiple of 32 "
            "(the network halves it three times and pools 4 x 4)"
        )
    pictures, values, names, sides = read(root, side)
    table = TensorTable(pictures, {a: values[:, [names.index(a)]] for a in ATTRIBUTES})
    splits = {s: table.select(torch.nonzero(sides == k).flatten()) for k, s in enumerate(celeba.SPLITS)}
    mean, deviation = images.channel_statistics(splits["train"].inputs)
    tasks = [attributes_task(a, 1) for a in ATTRIBUTES]
    return Data.multi_task(tasks, Domain("faces", splits), mean=mean, deviation=deviation, side=side)


def build(settings: Mapping[str, Any], data: Data) -> nn.Module:
    """Build a shared ResNet-18 with one linear layer per task."""
    width, info = settings["width"], data.info
    dropout, side, prepare = settings["dropout"], info["side"], Standardise(info["mean"], info["deviation"])
    return share(
        settings,
        lambda: nn.Sequential(prepare, small_resnet(width, dropout)),
        lambda: Body(prepare, stages(width, dropout), (3, side, side), tail(dropout)),
        lambda: {t.name: nn.Linear(features(side, width), t.outputs) for t in data.tasks},
    )


WORKLOADS = (
    Workload(
        name="celeba-resnet",
        kind="multi-task",
        objectives=ATTRIBUTES,
        size="162,770 training faces of 64 px",
        provenance=PROVENANCE,
        recipe=Recipe(
            optimizer=OptimizerRecipe(name="adam", lr=1e-3, weight_decay=1e-3),
            schedule=ScheduleRecipe(name="exponential", decay=0.95),
            epochs=50,
            batch_size=128,
            model={"width": 1.0, "dropout": 0.5},
            data={"side": 64},
        ),
        load=load,
        shape=functools.partial(imagine, groups={a: (a,) for a in ATTRIBUTES}),
        build=build,
        sizes=sizes.WIDTHS,
        missing=missing,
        packages=("PIL", "torchvision"),
        sharing=ALL,
    ),
)
