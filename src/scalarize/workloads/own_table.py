"""A user's own table as a workload: kinds of targets are inferred and reported, unusable columns are refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from scalarize.learners.recipe import OptimizerRecipe, Recipe
from scalarize.tasks import kinds
from scalarize.tasks.samples import TensorTable, split_indices
from scalarize.tasks.task import Data, Domain, Task
from scalarize.utils import files
from scalarize.utils.errors import RequestError, unknown_name_error
from scalarize.workloads import sizes
from scalarize.workloads.base import Workload
from scalarize.workloads.datasets.tables import numeric_inputs
from scalarize.workloads.models.mlp import multi_head_mlp

if TYPE_CHECKING:
    import pandas as pd

MOST_CLASSES = 20
LARGEST = 1e18  # its square is still far from the end of single precision
SMALLEST = 50  # rows below which 60/20/20 leaves nothing to measure on


def infer(name: str, column: pd.Series[Any]) -> tuple[Task, np.ndarray]:
    """Infer the task of a target column; return it with the column's values as numbers.

    Two distinct values: binary. Text, or whole numbers with at most 20 distinct values: classes, in sorted order. Other
    numbers: regression. Raises RequestError that names the column if it is constant or lacks values.
    """
    from pandas.api.types import is_numeric_dtype

    if column.isna().any():
        raise RequestError(f"target {name!r}: {int(column.isna().sum())} rows have no value; fill or drop them")
    distinct = sorted(column.unique().tolist(), key=str if column.dtype == object else None)
    if len(distinct) < 2:
        raise RequestError(f"target {name!r} is constant ({distinct[0] if distinct else 'empty'}): nothing to learn")
    numeric = is_numeric_dtype(column)
    if numeric:
        check_size(f"target {name!r}", column)
    codes = column.map({value: k for k, value in enumerate(distinct)})
    if len(distinct) == 2:
        return kinds.binary(name), codes.to_numpy(dtype="float32")
    whole = numeric and bool((column == column.round()).all())
    if len(distinct) <= MOST_CLASSES and (whole or not numeric):
        return kinds.multiclass(name, len(distinct)), codes.to_numpy(dtype="int64")
    if not numeric:
        raise RequestError(f"target {name!r} is text with {len(distinct)} distinct values: at most {MOST_CLASSES}")
    return kinds.regression(name), column.to_numpy(dtype="float32")


def check_size(what: str, column: pd.Series[Any]) -> None:
    """Raise RequestError for numbers that single precision cannot hold."""
    values = np.abs(column.to_numpy(dtype="float64"))
    if not np.isfinite(values).all():
        raise RequestError(f"{what} holds infinite values")
    if (values > LARGEST).any():
        raise RequestError(f"{what} holds {values.max():.3g}: numbers above {LARGEST:g} cannot be trained on")


def describe(inferred: Sequence[Task], inputs: Sequence[str], ignored: Sequence[str]) -> str:
    """Return one line that says what was inferred."""
    words = {"auroc": "binary", "accuracy": "classes", "rank-agreement": "regression"}
    tasks = ", ".join(
        f"{t.name}: {words[t.metric_name]}" + (f" ({t.outputs})" if t.metric_name == "accuracy" else "")
        for t in inferred
    )
    note = f"; ignored, not numeric: {', '.join(ignored)}" if ignored else ""
    return f"inferred targets: {tasks}; {len(inputs)} numeric inputs{note}"


def from_csv(path: Path, targets: Sequence[str]) -> Workload:
    """Make a workload of the table at ``path``: all other numeric columns are inputs, rows are split 60/20/20.

    Raises RequestError that names file and column: unreadable, no such target, no numeric input, too few rows.
    """
    import pandas as pd

    try:
        frame = pd.read_csv(path)
    except OSError as error:
        raise files.read_error(path, error) from None
    except UnicodeDecodeError:
        raise RequestError(f"{path}: cannot be read as CSV: it is not UTF-8; save it so") from None
    except ValueError as error:
        raise RequestError(f"{path}: cannot be read as CSV: {str(error).splitlines()[0]}") from None
    if not targets:
        raise RequestError(f"`csv` {path} needs `targets`: name columns of {', '.join(map(str, frame.columns))}")
    for name in targets:
        if name not in frame.columns:
            raise unknown_name_error("target", name, map(str, frame.columns), where=f" in {path}")
    if len(set(targets)) != len(targets):
        raise RequestError(f"`targets` names a column twice: {', '.join(targets)}")
    if len(frame) < SMALLEST:
        raise RequestError(f"{path}: {len(frame)} rows are too few to train, validate and test on; {SMALLEST} at least")
    posed = {name: infer(name, frame[name]) for name in targets}
    rest = frame.drop(columns=list(targets))
    inputs = [c for c in rest.columns if pd.api.types.is_numeric_dtype(rest[c]) and not rest[c].isna().all()]
    ignored = [str(c) for c in rest.columns if c not in inputs]
    if not inputs:
        why = f"{', '.join(ignored)} are not numeric" if ignored else "every column is a target"
        raise RequestError(f"{path}: no numeric column is left as input: {why}")
    for column in inputs:
        check_size(f"{path}: column {column!r}", rest[column].dropna())

    def load(settings: Mapping[str, Any], root: Path) -> Data:
        whole = TensorTable(torch.zeros(len(frame), 0), {})
        parts = split_indices(whole, (0.6, 0.2, 0.2), settings["split_seed"])
        values = {name: torch.tensor(column) for name, (_, column) in posed.items()}
        table = TensorTable(numeric_inputs(rest[inputs], parts[0]), values)
        splits = {n: table.select(p) for n, p in zip(("train", "validation", "test"), parts, strict=True)}
        tasks = [task for task, _ in posed.values()]
        return Data.multi_task(tasks, Domain(path.stem, splits), inputs=table.inputs.shape[1])

    return Workload(
        name=path.stem,
        kind="multi-task",
        objectives=tuple(targets),
        size=f"{len(frame)} rows, {len(inputs)} inputs",
        provenance=describe([task for task, _ in posed.values()], inputs, ignored),
        recipe=Recipe(
            optimizer=OptimizerRecipe(lr=3e-3, weight_decay=0.01),
            epochs=12,
            batch_size=min(256, max(16, len(frame) // 50)),
            model={"widths": [64, 64], "dropout": 0.0},
            data={"split_seed": 0},
        ),
        load=load,
        build=build,
        sizes=sizes.PERCEPTRON,
    )


def build(settings: Mapping[str, Any], data: Data) -> nn.Module:
    """Build a shared perceptron with one linear head per task."""
    outputs = {t.name: t.outputs for t in data.tasks}
    return multi_head_mlp(data.info["inputs"], outputs, settings["widths"], settings["dropout"])
