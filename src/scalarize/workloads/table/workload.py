"""The workload of a user's own table: its recipe, and the model that is trained on it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scalarize.learners.recipe import OptimizerRecipe, Recipe, ScheduleRecipe
from scalarize.tasks.task import Data
from scalarize.workloads import sizes
from scalarize.workloads.base import Workload
from scalarize.workloads.models import tabular
from scalarize.workloads.models.sharing.names import VECTORS
from scalarize.workloads.table import reading, words
from scalarize.workloads.table.options import TableOptions
from scalarize.workloads.table.own_table import OwnTable
from scalarize.workloads.table.reading import RawTable

SHARES = (0.6, 0.2, 0.2)
STEPS = 1500  # of a training, at most
WARMUP = 50  # steps


def from_file(path: Path, targets: Sequence[str], options: TableOptions | None = None) -> Workload:
    """Make a workload of the table at ``path``, see :func:`from_table`."""
    return from_table(reading.read(path), targets, options, path.stem)


def from_table(
    raw: RawTable, targets: Sequence[str], options: TableOptions | None = None, name: str = "table"
) -> Workload:
    """Make a workload of a table: its targets are the tasks, all other columns that can be are inputs.

    Args:
        raw: the table as it was read; its frame is taken apart.
        targets: names of the target columns.
        options: what the user said about columns and splits. Default: nothing.
        name: of the workload, for tables and directories. Default ``table``.

    Returns:
        The workload; weights are over targets, over domains, or over both.

    Raises:
        RequestError: the table or an option cannot be used; one line names the column.
    """
    options = options or TableOptions()
    table = OwnTable(raw, targets, options)
    recipe = recipe_for(round(table.rows_read * SHARES[0]))

    def load(settings: Mapping[str, Any], root: Path) -> Data:
        return table.data(settings)

    return Workload(
        name=name,
        kind="multi-domain" if table.domains is not None and len(targets) == 1 else "multi-task",
        objectives=tuple(table.objectives),
        size=f"{table.rows_read} rows, {len(table.inputs)} inputs",
        provenance=words.in_one_line(table),
        recipe=recipe,
        load=load,
        build=tabular.build,
        sizes=sizes.TABULAR,
        table=table,
        sharing=VECTORS,
    )


def recipe_for(rows: int) -> Recipe:
    """Make the default recipe for a table with so many training rows: a budget in steps, not in epochs.

    The best epoch is chosen by skill on validation, and the training ends when it is a quarter of the budget old.

    Args:
        rows: of the training split.

    Returns:
        The recipe. `results/tables.py` measures it.
    """
    batch = min(max(rows, 1), min(256, max(32, 2 ** int(math.log2(max(rows / 16, 1))))))
    steps = max(1, rows // batch)
    epochs = max(4, round(STEPS / steps))
    return Recipe(
        optimizer=OptimizerRecipe(lr=1e-3, weight_decay=0.01),
        schedule=ScheduleRecipe(name="cosine", warmup=min(1.0, WARMUP / steps)),
        epochs=epochs,
        batch_size=batch,
        selection="skill",
        patience=max(2, math.ceil(epochs / 4)),
        model=dict(tabular.SETTINGS),
        data={"split_seed": 0, "shares": list(SHARES)},
    )
