"""Models of two tasks beside a front that is known."""

from __future__ import annotations

import pandas as pd

from scalarize.analysis.study_tables import StudyTable
from scalarize.report.charts import Chart, Series

FRONT = "the front"
DOTS = 60  # of the front, that its models are seen


def beside(table: StudyTable) -> list[Chart]:
    """Show one series per row; the row ``the front``, if there is one, is a thin line behind them."""
    groups = {str(row): own for row, own in table.frame.groupby("row", sort=False)}
    known = groups.pop(FRONT, None)
    series = [_models(row, own) for row, own in groups.items()]
    if known is not None:
        few = known.iloc[:: max(1, len(known) // DOTS)]
        line = Series(FRONT, few["x"].tolist(), few["y"].tolist(), sizes=[0.0] * len(few), joined=True, ink=True)
        series = [line, *series]
    return [
        Chart(
            title=table.title,
            kind="points",
            alt="Models in the plane of two tasks. " + " ".join(table.findings),
            x_label=str(table.frame["x_label"].iloc[0]),
            y_label=str(table.frame["y_label"].iloc[0]),
            series=tuple(series),
            note=table.note,
        )
    ]


def _models(row: str, own: pd.DataFrame) -> Series:
    labels = [
        f"{row}{'' if pd.isna(weight) else f', weight {weight:g}'}, seed {seed}"
        for weight, seed in zip(own["weight"], own["seed"], strict=True)
    ]
    return Series(row, own["x"].tolist(), own["y"].tolist(), labels=labels)
