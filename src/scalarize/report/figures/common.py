"""Parts that several figures share: titles, and one value per row with its interval."""

from __future__ import annotations

import pandas as pd

from scalarize.analysis.study_tables import StudyTable
from scalarize.report.charts import Chart, Series


def single_intervals(
    table: StudyTable, frame: pd.DataFrame, name: str, value: str, low: str, high: str, label: str, said: str
) -> Chart:
    """Show one value per row with its interval.

    Args:
        table: the table.
        frame: its rows.
        name: column with the names of the rows.
        value: column with the values.
        low: column with the lower ends.
        high: column with the upper ends.
        label: label of the axis.
        said: beginning of the alt text.
    """
    series = tuple(
        Series(str(r[name]), [r[value]], [k], x_low=[r[low]], x_high=[r[high]])
        for k, (_, r) in enumerate(frame.iterrows())
    )
    values = "; ".join(f"{s.name} {s.x[0]:.3g}" for s in series)
    return Chart(
        title=table.title,
        kind="intervals",
        alt=f"{said}: {values}.",
        x_label=label,
        series=series,
        rows=tuple(map(str, frame[name])),
        note=table.note,
    )


def settings_in_title(table: StudyTable) -> str:
    """Return the part of the table's title after its kind: the workload and other settings."""
    inside = table.title.rpartition("(")[2].rstrip(")")
    sizes = table.title.partition(",")[2].partition("(")[0].strip()
    return f"{inside}, {sizes}" if sizes else inside
