"""Letters and digits in many fonts: one task with kinds of font as domains, or three tasks on all fonts.

It needs nothing but matplotlib's fonts; installed fonts are used too (``data.installed``), so numbers compare on one
machine, or everywhere with ``--set data.installed=false``. Everything here is our choice. A character of one family is
in one split, with all its weights and slants; otherwise nearly the same drawing would be in two splits.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from scalarize.learners.recipe import OptimizerRecipe, Recipe, ScheduleRecipe
from scalarize.tasks import metrics
from scalarize.tasks.kinds import binary, multiclass
from scalarize.tasks.samples import TensorTable
from scalarize.tasks.task import Data, Domain
from scalarize.workloads import sizes
from scalarize.workloads.base import Workload
from scalarize.workloads.datasets import fonts, images
from scalarize.workloads.models.lenet import lenet, lenet_head, stages
from scalarize.workloads.models.sharing.body import Body
from scalarize.workloads.models.sharing.build import share
from scalarize.workloads.models.sharing.names import ALL
from scalarize.workloads.models.standardise import Standardise

SIDE = 32
SPLITS = {"train": 0.6, "validation": 0.2, "test": 0.2}
CHARACTER = multiclass("character", len(fonts.CHARACTERS))
TASKS = (
    CHARACTER,
    binary("bold", metrics.BinaryAccuracy, "accuracy"),
    binary("italic", metrics.BinaryAccuracy, "accuracy"),
)


@functools.lru_cache(maxsize=2)
def _read(installed: bool, drawings: int) -> tuple[TensorTable, Tensor, list[fonts.Font], Tensor]:
    """Return all drawings with the three targets, the kind of each (N,), the fonts, and the font of each (N,)."""
    found = fonts.find(installed)
    drawn = fonts.glyphs(found, SIDE, drawings, seed=0)
    bold, italic = (
        torch.tensor([float(x) for x in xs]) for xs in zip(*((f.bold, f.italic) for f in found), strict=True)
    )
    targets = {"character": drawn["character"], "bold": bold[drawn["font"]], "italic": italic[drawn["font"]]}
    kinds = torch.tensor([fonts.KINDS.index(f.kind) for f in found])
    return TensorTable(drawn["images"], targets, drawn["group"]), kinds[drawn["font"]], found, drawn["font"]


def sides(fonts_found: Sequence[fonts.Font], seed: int) -> dict[str, list[int]]:
    """Return family -> the split of each character, an index into SPLITS.

    The families of a kind take turns with the same shuffled characters: those that one tests, the next one trains on,
    so that every kind with two families trains on every character.
    """
    bounds = torch.tensor(list(SPLITS.values())).cumsum(0)[:-1]
    found = {}
    for kind in fonts.KINDS:
        generator = torch.Generator().manual_seed(seed)
        place = (torch.randperm(len(fonts.CHARACTERS), generator=generator) + 0.5) / len(fonts.CHARACTERS)
        for turn, family in enumerate(sorted({f.family for f in fonts_found if f.kind == kind})):
            shifted = (place + turn * (1 - SPLITS["train"])) % 1
            found[family] = torch.bucketize(shifted, bounds).tolist()
    return found


def _split(settings: Mapping[str, Any]) -> tuple[dict[str, TensorTable], dict[str, Tensor]]:
    """Return split -> drawings, and split -> kinds."""
    table, kinds, found, number = _read(settings["installed"], settings["drawings"])
    by_family = sides(found, settings["split_seed"])
    by_font = torch.tensor([by_family[f.family] for f in found])
    side = by_font[number, table.targets["character"]]
    rows = {name: torch.nonzero(side == k).flatten() for k, name in enumerate(SPLITS)}
    return {s: table.select(r) for s, r in rows.items()}, {s: kinds[r] for s, r in rows.items()}


def _info(train: TensorTable) -> dict[str, Any]:
    mean, deviation = images.channel_statistics(train.inputs)
    return {"mean": mean, "deviation": deviation}


def load_kinds(settings: Mapping[str, Any], root: Path) -> Data:
    """Load the character with serif, sans and mono as domains; an epoch is as long as the smallest of them, mono."""
    tables, kinds = _split(settings)
    domains = []
    for number, kind in enumerate(fonts.KINDS):
        parts = {s: t.select(torch.nonzero(kinds[s] == number).flatten()) for s, t in tables.items()}
        only = {s: TensorTable(t.inputs, {"character": t.targets["character"]}, t.groups) for s, t in parts.items()}
        domains.append(Domain(kind, only))
    return Data.multi_domain(CHARACTER, domains, "mono", **_info(tables["train"]))


def load_tasks(settings: Mapping[str, Any], root: Path) -> Data:
    """Load character, boldness and slant in all fonts."""
    tables, _ = _split(settings)
    return Data.multi_task(TASKS, Domain("all", tables), **_info(tables["train"]))


def build(settings: Mapping[str, Any], data: Data) -> nn.Module:
    """Build a LeNet with a head shared by domains, or one per task."""
    width, features = settings["channels"], settings["features"]
    prepare, sizes = Standardise(data.info["mean"], data.info["deviation"]), (SIDE, (width, 2 * width), features)
    return share(
        settings,
        lambda: nn.Sequential(prepare, lenet(*sizes)),
        lambda: Body(prepare, stages(*sizes), (1, SIDE, SIDE)),
        lambda: {t.name: lenet_head(t.outputs, features) for t in data.tasks},
        data.names if len(data.tasks) == 1 else None,
    )


RECIPE = Recipe(
    optimizer=OptimizerRecipe(name="adamw", lr=2e-3, weight_decay=0.01),
    schedule=ScheduleRecipe(name="cosine"),
    epochs=12,
    batch_size=128,
    model={"channels": 16, "features": 96},
    data={"installed": True, "drawings": 4, "split_seed": 0},
)
PROVENANCE = (
    "letters and digits drawn in matplotlib's fonts (DejaVu, STIX, Computer Modern; free licences) and installed ones"
)

WORKLOADS = (
    Workload(
        name="glyphs",
        kind="multi-domain",
        objectives=fonts.KINDS,
        size="248 images of 32 px a font",
        provenance=PROVENANCE,
        recipe=RECIPE,
        load=load_kinds,
        build=build,
        sizes=sizes.CHANNELS,
        reference="mono",
        packages=("matplotlib",),
        sharing=ALL,
    ),
    Workload(
        name="glyphs-tasks",
        kind="multi-task",
        objectives=tuple(t.name for t in TASKS),
        size="248 images of 32 px a font",
        provenance=PROVENANCE,
        recipe=RECIPE,
        load=load_tasks,
        build=build,
        sizes=sizes.CHANNELS,
        packages=("matplotlib",),
        sharing=ALL,
    ),
)
