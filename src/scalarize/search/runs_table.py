"""Tables of runs made elsewhere: weights and metrics, for ``search --algorithm regression --runs FILE.csv``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scalarize.search.surrogates.mixture_forms import Array
from scalarize.utils import documents, files
from scalarize.utils.errors import RequestError
from scalarize.weights import simplex

WEIGHT, HIGHER, LOWER = "weight:", "metric:", "metric-:"


@dataclass(frozen=True)
class Runs:
    """Weights and metrics of n runs.

    Args:
        tasks: names of the T tasks.
        metrics: names of the K metrics.
        weights: shape (n, T), on the simplex.
        values: metrics, shape (n, K); higher is better.
        left_out: number of runs left out because a metric was empty or not finite (failed runs).
    """

    tasks: tuple[str, ...]
    metrics: tuple[str, ...]
    weights: Array
    values: Array
    left_out: int = 0


def read(path: str | Path) -> Runs:
    """Read a table of runs.

    The columns are ``weight:NAME``, and ``metric:NAME`` or, if lower is better, ``metric-:NAME``; others are ignored.
    Weights are normalised; metrics of which lower is better change their sign. Raises RequestError that names file,
    line and column of an error.
    """
    rows = documents.from_csv(files.read_bytes(path, documents.MOST_TABLE), str(path))
    header = [name.strip() for name in rows[0][1]] if rows else []
    columns = {
        prefix: [i for i, name in enumerate(header) if name.startswith(prefix)] for prefix in (WEIGHT, HIGHER, LOWER)
    }
    measured = sorted(columns[HIGHER] + columns[LOWER])
    if not columns[WEIGHT] or not measured:
        raise RequestError(f"{path}: needs columns weight:NAME and metric:NAME (metric-:NAME where lower is better)")
    named = [header[i].split(":", 1)[1] for i in measured]
    tasks = [header[i].split(":", 1)[1] for i in columns[WEIGHT]]
    for names in (tasks, named):
        if len(set(names)) != len(names) or not all(names):
            raise RequestError(f"{path}: the columns must have distinct names, got {', '.join(header)}")
    weights, values = [], []
    body = [(line, row) for line, row in rows[1:] if any(cell.strip() for cell in row)]
    for line, row in body:
        if len(row) != len(header):
            raise RequestError(f"{path}: line {line} has {len(row)} cells for {len(header)} columns")
        cells = [_number(path, line, header[i], row[i]) for i in measured]
        if not np.isfinite(cells).all():
            continue
        try:
            weights.append(simplex.normalise([_number(path, line, header[i], row[i]) for i in columns[WEIGHT]]))
        except RequestError as error:
            raise RequestError(f"{path}: line {line}: {error}") from None
        values.append([-x if i in columns[LOWER] else x for i, x in zip(measured, cells, strict=True)])
    if len(values) < 2:
        raise RequestError(f"{path}: a regression needs at least 2 runs with finite metrics, got {len(values)}")
    return Runs(tuple(tasks), tuple(named), np.array(weights), np.array(values), len(body) - len(values))


def _number(path: str | Path, line: int, column: str, cell: str) -> float:
    """Return the number in a cell; an empty metric is NaN."""
    if not cell.strip() and not column.startswith(WEIGHT):
        return float("nan")
    try:
        return float(cell)
    except ValueError:
        raise RequestError(f"{path}: line {line}, column {column}: {cell!r} is no number") from None
