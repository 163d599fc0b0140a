"""CelebA: 40 attributes as 40 tasks, or 8 groups of attributes that share a weight (Royer et al. 2023, appendix 1.2).

From the paper: images of 32 pixels, ViT-S/4, one linear layer per task on a shared backbone, binary cross-entropy for
each attribute, AdamW with learning rate 5e-4 and weight decay 0.05, batch 256, 50 epochs of which 5 are warm-up, cosine
decay, RandAugment; the groups of its table A, whose attributes share one weight, so a group's loss is the sum over
them. Our choices, where it is silent: the central 178 x 178 pixels are resized; the metric of a group is the unweighted
mean over its attributes; the last epoch is tested.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from scalarize.learners.recipe import OptimizerRecipe, Recipe, ScheduleRecipe
from scalarize.tasks import metrics
from scalarize.tasks.samples import TensorTable
from scalarize.tasks.task import Data, Domain, Task
from scalarize.utils.errors import RequestError
from scalarize.workloads import sizes
from scalarize.workloads.base import Workload
from scalarize.workloads.datasets import celeba, images, imagined
from scalarize.workloads.datasets.augment import Augment
from scalarize.workloads.datasets.randaugment import RandAugment
from scalarize.workloads.models.backbone import classifier
from scalarize.workloads.models.sharing.names import ALL

GROUPS = {
    "hair-color": ("Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair"),
    "hair-style": ("Bald", "Bangs", "Receding_Hairline", "Sideburns", "Straight_Hair", "Wavy_Hair"),
    "facial-hair": ("5_o_Clock_Shadow", "Mustache", "No_Beard", "Goatee"),
    "mouth": ("Big_Lips", "Mouth_Slightly_Open", "Smiling", "Wearing_Lipstick"),
    "clothes": (
        "Eyeglasses",
        "Heavy_Makeup",
        "Wearing_Earrings",
        "Wearing_Hat",
        "Wearing_Necklace",
        "Wearing_Necktie",
    ),
    "face-structure": ("Big_Nose", "Chubby", "Double_Chin", "High_Cheekbones", "Oval_Face", "Pointy_Nose"),
    "gender": ("Male",),
    "age": ("Young",),
}
OTHERS = (
    "Arched_Eyebrows",
    "Attractive",
    "Bags_Under_Eyes",
    "Blurry",
    "Bushy_Eyebrows",
    "Narrow_Eyes",
    "Pale_Skin",
    "Rosy_Cheeks",
)
ATTRIBUTES = tuple(sorted((*(a for group in GROUPS.values() for a in group), *OTHERS), key=str.lower))
REMEDY = "put CelebA's aligned faces and its two lists there, as published"


def attributes_task(name: str, count: int) -> Task:
    """Make a task of ``count`` 0/1 attributes (B, count): the sum of their binary cross-entropies in nats, mean
    accuracy.
    """

    def loss(prediction: Tensor, target: Tensor) -> Tensor:
        return count * functional.binary_cross_entropy_with_logits(prediction, target)

    def constant(target: Tensor) -> float:
        share = target.double().mean(0).clamp(1e-12, 1 - 1e-12)
        return count * float(functional.binary_cross_entropy(share.expand_as(target), target.double()))

    return Task(
        name,
        count,
        loss,
        metrics.BinaryAccuracy,
        "accuracy",
        constant_loss=constant,
    )


@functools.lru_cache(maxsize=1)
def read(root: Path, side: int) -> tuple[Tensor, Tensor, tuple[str, ...], Tensor]:
    """Return faces (N, 3, side, side) uint8, attributes (N, 40), their names, and the split of each face."""
    pictures, names, values = celeba.attributes(root)
    sides = celeba.partition(root, pictures)
    absent = next((a for a in ATTRIBUTES if a not in names), None)
    if absent is not None:
        raise RequestError(f"{root / celeba.FOLDER / celeba.ATTRIBUTES}: line 2 lacks the attribute {absent}")
    for number, split in enumerate(celeba.SPLITS):
        if not bool((sides == number).any()):
            raise RequestError(f"{root / celeba.FOLDER / celeba.PARTITION}: no face is in the {split} partition")
    return celeba.faces(root, pictures, side), values, tuple(names), sides


def _data(settings: Mapping[str, Any], root: Path, groups: Mapping[str, Sequence[str]]) -> Data:
    pictures, values, names, sides = read(root, settings["side"])
    targets = {g: values[:, [names.index(a) for a in members]] for g, members in groups.items()}
    table = TensorTable(pictures, targets)
    splits = {s: table.select(torch.nonzero(sides == k).flatten()) for k, s in enumerate(celeba.SPLITS)}
    policy = RandAugment(magnitude=settings["magnitude"]) if settings["randaugment"] else None
    mean, deviation = images.channel_statistics(splits["train"].inputs)
    tasks = [attributes_task(g, len(members)) for g, members in groups.items()]
    domain = Domain("faces", splits, Augment(policy=policy))
    return Data.multi_task(tasks, domain, mean=mean, deviation=deviation, side=settings["side"])


def load_attributes(settings: Mapping[str, Any], root: Path) -> Data:
    """Load all 40 attributes, one task each."""
    return _data(settings, root, {a: (a,) for a in ATTRIBUTES})


def load_groups(settings: Mapping[str, Any], root: Path) -> Data:
    """Load the 8 groups of table A, 32 attributes in all."""
    return _data(settings, root, GROUPS)


COUNTS = {"train": 162_770, "validation": 19_867, "test": 19_962}  # of the published partition


def imagine(settings: Mapping[str, Any], groups: Mapping[str, Sequence[str]]) -> Data:
    """Imagine as many faces as are published, with the attributes of each of ``groups`` as a task."""
    side, middle = settings["side"], [127.5] * 3
    targets = {g: imagined.bits(len(members)) for g, members in groups.items()}
    domain = Domain("faces", imagined.splits(COUNTS, imagined.pictures(3, side, side), targets))
    tasks = [attributes_task(g, len(members)) for g, members in groups.items()]
    return imagined.unseen(Data.multi_task(tasks, domain, mean=middle, deviation=middle, side=side))


def build(settings: Mapping[str, Any], data: Data) -> nn.Module:
    """Build a shared ViT-S/4 with one linear layer per task."""
    info = data.info
    return classifier(settings, {t.name: t.outputs for t in data.tasks}, info["side"], info["mean"], info["deviation"])


def missing(root: Path) -> str | None:
    """Name the first list, or the folder of faces, that is missing."""
    folder = root / celeba.FOLDER
    for name in (celeba.ATTRIBUTES, celeba.PARTITION):
        if not (folder / name).is_file():
            return f"{folder / name}: {REMEDY}"
    return None if (folder / celeba.PICTURES).is_dir() else f"{folder / celeba.PICTURES}: {REMEDY}"


RECIPE = Recipe(
    optimizer=OptimizerRecipe(name="adamw", lr=5e-4, weight_decay=0.05),
    schedule=ScheduleRecipe(name="cosine", warmup=5),
    epochs=50,
    batch_size=256,
    selection="last",
    model={"family": "vit", "depth": 9, "width": 1.0},
    data={"side": 32, "randaugment": True, "magnitude": 9},
)
PROVENANCE = "CelebA (Liu et al. 2015), aligned faces as published; for non-commercial research"

WORKLOADS = (
    Workload(
        name="celeba",
        kind="multi-task",
        objectives=ATTRIBUTES,
        size="162,770 training faces of 32 px",
        provenance=PROVENANCE,
        recipe=RECIPE,
        load=load_attributes,
        shape=functools.partial(imagine, groups={a: (a,) for a in ATTRIBUTES}),
        build=build,
        sharing=ALL,
        sizes=sizes.VIT,
        missing=missing,
        packages=("PIL", "timm", "torchvision"),
    ),
    Workload(
        name="celeba-8",
        kind="multi-task",
        objectives=tuple(GROUPS),
        size="162,770 training faces of 32 px",
        provenance=PROVENANCE,
        recipe=RECIPE,
        load=load_groups,
        shape=functools.partial(imagine, groups=GROUPS),
        build=build,
        sharing=ALL,
        sizes=sizes.VIT,
        missing=missing,
        packages=("PIL", "timm", "torchvision"),
    ),
)
