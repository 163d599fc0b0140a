"""The RAND Health Insurance Experiment: seven tasks, or one task on six sites.

20,190 person-years of 5,912 persons, from the statsmodels package (public domain). Losses are raw on purpose: their
scales differ by two orders of magnitude, which is what a practitioner has to balance.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from scalarize.learners.recipe import OptimizerRecipe, Recipe
from scalarize.tasks.kinds import binary, regression
from scalarize.tasks.samples import TensorTable, split_indices
from scalarize.tasks.task import Data, Domain
from scalarize.utils.errors import RequestError
from scalarize.workloads import sizes
from scalarize.workloads.base import Workload
from scalarize.workloads.datasets.tables import numeric_inputs
from scalarize.workloads.models.mlp import multi_head_mlp
from scalarize.workloads.models.sharing.names import VECTORS

if TYPE_CHECKING:
    import pandas as pd

SHAPE = (20190, 45)
OUTCOMES = ["outpdol", "drugdol", "suppdol", "mentdol", "inpdol", "meddol", "totadm", "inpmis", "mentvis"]
NOT_INPUTS = [*OUTCOMES, "mdvis", "notmdvis", "lnmeddol", "binexp", "zper"]
SPLITS = ("train", "validation", "test")
SITES = tuple(f"site-{k}" for k in range(1, 7))
TASKS = (
    binary("any-mental"),
    binary("any-inpatient"),
    binary("any-supplies"),
    regression("log-outpatient"),
    regression("log-drugs"),
    regression("visits-physician"),
    regression("visits-other"),
)


@functools.cache
def read() -> pd.DataFrame:
    """Read the published table as statsmodels ships it. Raises RequestError if it is not the expected one."""
    import pandas as pd
    import statsmodels

    path = Path(statsmodels.__file__).parent / "datasets" / "randhie" / "src" / "randhie.csv"
    try:
        frame = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise RequestError(f"{path}: the RAND table cannot be read from the statsmodels package: {error}") from None
    absent = [c for c in [*NOT_INPUTS, "site"] if c not in frame.columns]
    if frame.shape != SHAPE or absent:
        raise RequestError(f"{path}: expected rows and columns {SHAPE}, got {frame.shape}; missing columns: {absent}")
    return frame


def targets(frame: pd.DataFrame) -> dict[str, Tensor]:
    """Return the seven targets (N,), float32."""
    columns = {
        "any-mental": frame.mentdol > 0,
        "any-inpatient": frame.inpdol > 0,
        "any-supplies": frame.suppdol > 0,
        "log-outpatient": np.log1p(frame.outpdol),
        "log-drugs": np.log1p(frame.drugdol),
        "visits-physician": frame.mdvis,
        "visits-other": frame.notmdvis,
    }
    return {k: torch.tensor(v.to_numpy(dtype="float32")) for k, v in columns.items()}


@functools.lru_cache(maxsize=4)
def _prepared(split_seed: int, drop: tuple[str, ...]) -> tuple[TensorTable, dict[str, Tensor]]:
    """Return the whole table, and the rows (n,) of each split: 60/20/20 by person."""
    frame = read()
    persons = torch.tensor(frame.zper.to_numpy())
    parts = split_indices(TensorTable(torch.zeros(len(frame), 0), {}, persons), (0.6, 0.2, 0.2), split_seed)
    inputs = numeric_inputs(frame.drop(columns=[*NOT_INPUTS, *drop]), parts[0])
    return TensorTable(inputs, targets(frame), persons), dict(zip(SPLITS, parts, strict=True))


def load_tasks(settings: Mapping[str, Any], root: Path) -> Data:
    """Load all tasks on all sites."""
    table, rows = _prepared(settings["split_seed"], ())
    domain = Domain("all", {split: table.select(r) for split, r in rows.items()})
    return Data.multi_task(TASKS, domain, inputs=table.inputs.shape[1], sites=False)


def load_sites(settings: Mapping[str, Any], root: Path) -> Data:
    """Load outpatient spending with the sites as domains; the site itself is not an input (our choice)."""
    table, rows = _prepared(settings["split_seed"], ("site",))
    site = torch.tensor(read().site.to_numpy())
    domains = [
        Domain(name, {split: table.select(r[site[r] == number]) for split, r in rows.items()})
        for number, name in enumerate(SITES, start=1)
    ]
    task = next(t for t in TASKS if t.name == "log-outpatient")
    return Data.multi_domain(task, domains, reference=SITES[0], inputs=table.inputs.shape[1], sites=True)


def build(settings: Mapping[str, Any], data: Data) -> nn.Module:
    """Build a shared perceptron with one linear head per task; with one task on several sites the head is shared."""
    outputs = {t.name: t.outputs for t in data.tasks}
    return multi_head_mlp(data.info["inputs"], outputs, settings, data.names if data.info["sites"] else None)


RECIPE = Recipe(
    optimizer=OptimizerRecipe(name="adamw", lr=3e-3, weight_decay=0.01),
    epochs=12,
    batch_size=256,
    model={"widths": [64, 64], "dropout": 0.0},
    data={"split_seed": 0},
)
PROVENANCE = (
    "RAND Health Insurance Experiment, 20,190 person-years of 5,912 persons; statsmodels package; public domain"
)

WORKLOADS = (
    Workload(
        name="rand-hie",
        kind="multi-task",
        objectives=tuple(t.name for t in TASKS),
        size="20,190 rows, 31 inputs",
        provenance=PROVENANCE,
        recipe=RECIPE,
        load=load_tasks,
        build=build,
        sizes=sizes.PERCEPTRON,
        packages=("pandas", "statsmodels"),
        sharing=VECTORS,
    ),
    Workload(
        name="rand-hie-sites",
        kind="multi-domain",
        objectives=SITES,
        size="20,190 rows, 30 inputs",
        provenance=PROVENANCE,
        recipe=RECIPE,
        load=load_sites,
        build=build,
        sizes=sizes.PERCEPTRON,
        reference=SITES[0],
        packages=("pandas", "statsmodels"),
        sharing=VECTORS,
    ),
)
