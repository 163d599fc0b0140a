"""Figures of trade-offs between two tasks: fronts as lines, other models as points, rankings by utility."""

from __future__ import annotations

import pandas as pd

from scalarize.analysis.study_tables import StudyTable
from scalarize.report.charts import Chart, Series


def trade_off(table: StudyTable) -> list[Chart]:
    """Show one series per row.

    ``line`` marks the models on their own row's front, which are connected for the row ``lined``, or for every row if
    none is named.
    """
    frame = table.frame
    first = frame["lined"].iloc[0]
    lined = first if isinstance(first, str) else ""  # empty, it was read from the file as no number
    series = []
    for row, own in frame.groupby("row", sort=False):
        edge = own[own["line"]].sort_values(["x", "y"])
        rest = own[~own["line"]]
        joined = str(row) == lined or not lined
        series.append(_series(str(row), edge, joined))
        if len(rest):
            series.append(_series(f"{row}, dominated", rest, False))
    return [
        Chart(
            title=table.title,
            kind="points",
            alt=f"{len(frame)} models in the plane of two tasks. " + " ".join(table.findings),
            x_label=str(frame["x_label"].iloc[0]),
            y_label=str(frame["y_label"].iloc[0]),
            series=tuple(series),
            note=table.note,
        )
    ]


def _series(name: str, own: pd.DataFrame, joined: bool) -> Series:
    labels = [
        f"{name}{'' if pd.isna(weight) else f', weight {weight:g}'}, learning rate {rate:g}, seed {seed}"
        for weight, rate, seed in zip(own["weight"], own["rate"], own["seed"], strict=True)
    ]
    return Series(name, own["x"].tolist(), own["y"].tolist(), labels=labels, joined=joined)


def utility(table: StudyTable) -> list[Chart]:
    """Show the utility of each row as the second task counts more; lower is better."""
    series = tuple(
        Series(str(row), own["u"].tolist(), own["test"].tolist(), joined=True)
        for row, own in table.frame.groupby("row", sort=False)
    )
    return [
        Chart(
            title=table.title,
            kind="points",
            alt="Test utility by the weight of the second task. " + " ".join(table.findings),
            x_label=f"weight of {table.frame['label'].iloc[0]}",
            y_label="weighted test loss, lower is better",
            series=series,
            note=table.note,
        )
    ]
