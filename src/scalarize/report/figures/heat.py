"""Heat maps: gains by model size, conflicts by pair of tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from scalarize.report.charts import Chart
from scalarize.utils.errors import RequestError


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
    """Show a number for each row and column.

    Heat maps of capacity (Royer et al. 2023, figures 2 and B) have widths as columns and depths as rows. Raises
    RequestError if ``cells`` is not rows x columns.

    Args:
        title: title of the figure.
        rows: names of the rows.
        columns: names of the columns.
        cells: the numbers, rows x columns; NaN: not measured.
        x_label: label of the x axis.
        gains: True if 0 is the middle of a scale of two colours.
        note: text below the figure.
        y_label: label of the y axis.
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
    """Show the column ``value`` as a heat map, in order of appearance; cells without a row are empty.

    ``labels`` are those of the x and the y axis; further arguments are those of :func:`heat_map`.
    """
    row_names, column_names = (list(dict.fromkeys(frame[k])) for k in (rows, columns))
    table = frame.groupby([rows, columns])[value].mean()
    cells = [[float(table.get((r, c), np.nan)) for c in column_names] for r in row_names]
    x_label, y_label = labels
    return heat_map(title, [*map(str, row_names)], [*map(str, column_names)], cells, x_label, y_label=y_label, **more)


def matrix(frame: pd.DataFrame, value: str, title: str, label: str, **more: Any) -> Chart:
    """Show ``value`` for each pair (a, b) of ``frame``, mirrored, with an empty diagonal. ``label`` says what a and b
    are.
    """
    mirrored = pd.concat([frame, frame.rename(columns={"a": "b", "b": "a"})], ignore_index=True)
    names = list(dict.fromkeys([*frame["a"], *frame["b"]]))
    mirrored = mirrored.assign(
        place=mirrored["a"].map(names.index) * len(names) + mirrored["b"].map(names.index)
    ).sort_values("place")
    order = pd.DataFrame({"a": names, "b": names, value: np.nan})
    return heat_of(pd.concat([order, mirrored]), "a", "b", value, title, (label, label), **more)
