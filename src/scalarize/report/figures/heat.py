"""Heat maps: gains by model size, conflicts by pair of tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from scalarize.errors import RequestError
from scalarize.report.charts import Chart, Series


def heat_map(
    title: str,
    rows: Sequence[str],
    columns: Sequence[str],
    cells: ArrayLike,
    x_label: str = "",
    gains: bool = False,
    note: str = "",
    y_label: str = "",
) -> Chart:
    """A number for each row and column (NaN: not measured). gains: 0 is the middle of a scale of two colours.

    Capacity heat maps (Royer et al. 2023, figures 2 and B) have widths as columns and depths as rows. Raises
    RequestError where ``cells`` is no table of rows x columns.
    """
    table = np.asarray(cells, dtype=np.float64)
    if table.shape != (len(rows), len(columns)) or not table.size:
        raise RequestError(f"{title}: {len(rows)} rows and {len(columns)} columns named for cells {table.shape}")
    alt = f"{title}: {len(rows)} rows by {len(columns)} columns, nothing measured."
    if np.isfinite(table).any():
        (i, j), (k, m) = (divmod(int(f(table)), len(columns)) for f in (np.nanargmin, np.nanargmax))
        least, most = f"{table[i, j]:.3g} ({rows[i]}, {columns[j]})", f"{table[k, m]:.3g} ({rows[k]}, {columns[m]})"
        alt = f"{title}: from {least} to {most}."
    content = tuple(tuple(row) for row in table.tolist())
    return Chart(
        title=title,
        kind="heat",
        alt=alt,
        x_label=x_label,
        y_label=y_label,
        rows=tuple(rows),
        columns=tuple(columns),
        cells=content,
        diverging=gains,
        note=note,
    )


def heat_of(
    frame: pd.DataFrame, rows: str, columns: str, value: str, title: str, labels: tuple[str, str], **more: Any
) -> Chart:
    """A heat map of the column ``value``, in order of appearance; cells without a row are empty. labels: of the x and
    the y axis; more: as :func:`heat_map`.
    """
    row_names, column_names = (list(dict.fromkeys(frame[k])) for k in (rows, columns))
    table = frame.groupby([rows, columns])[value].mean()
    cells = [[float(table.get((r, c), np.nan)) for c in column_names] for r in row_names]
    x_label, y_label = labels
    return heat_map(title, [*map(str, row_names)], [*map(str, column_names)], cells, x_label, y_label=y_label, **more)


def matrix(frame: pd.DataFrame, value: str, title: str, label: str, **more: Any) -> Chart:
    """``value`` for each pair (a, b) of ``frame``, mirrored; the diagonal is empty. label: what a and b are."""
    mirrored = pd.concat([frame, frame.rename(columns={"a": "b", "b": "a"})], ignore_index=True)
    names = list(dict.fromkeys([*frame["a"], *frame["b"]]))
    mirrored = mirrored.assign(
        place=mirrored["a"].map(names.index) * len(names) + mirrored["b"].map(names.index)
    ).sort_values("place")
    order = pd.DataFrame({"a": names, "b": names, value: np.nan})
    return heat_of(pd.concat([order, mirrored]), "a", "b", value, title, (label, label), **more)


def conflict_matrix(tasks: Sequence[str], shares: ArrayLike, title: str = "Conflicts by pair") -> Chart:
    """Share of steps at which the gradients of two tasks have a negative cosine, (T, T), median over epochs (Royer
    et al. 2023, figure 5b). The diagonal is left empty.
    """
    table = np.array(shares, dtype=np.float64)
    if table.shape != (len(tasks), len(tasks)):
        raise RequestError(f"{title}: {len(tasks)} tasks for a matrix of shape {table.shape}")
    np.fill_diagonal(table, np.nan)
    note = "Share of steps with a negative cosine between the two gradients, median over epochs."
    return heat_map(title, tasks, tasks, table, note=note)


def conflict_course(
    shares: Mapping[str, Sequence[tuple[float, float]]], title: str = "Conflicting pairs over epochs"
) -> Chart:
    """Share of pairs in conflict by epoch, a line a setting (Royer et al. 2023, figure 4). shares: name -> (epoch,
    share) in order.
    """
    series = tuple(Series(name, [p[0] for p in own], [p[1] for p in own]) for name, own in shares.items())
    said = "; ".join(f"{s.name} from {s.y[0]:.2f} to {s.y[-1]:.2f}" for s in series if s.y)
    return Chart(
        title, "lines", f"Share of pairs with a negative cosine: {said}.", "epoch", "share of pairs in conflict", series
    )
