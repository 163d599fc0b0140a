"""Figures of trade-offs between two tasks: fronts as lines, other models as points, rankings by utility."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from scalarize.analysis.study_tables import StudyTable
from scalarize.report.charts import Chart, Series


def trade_off(table: StudyTable) -> list[Chart]:
    """Show one series per row.

    ``line`` marks the models on their own row's front, which are connected for the row ``lined``, or for every row if
    none is named. With ``by_rate`` the row ``lined`` has a curve for each learning rate as well, over its weights; the
    rates whose models all are dominated are so seen as curves behind the front. Where every row is one weight, points
    have the colour of their weight.
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
        if str(row) == lined and "by_rate" in own and own["by_rate"].any():
            series += _curves(str(row), own)
        elif len(rest):
            series.append(_series(f"{row}, dominated", rest, False))
    shade = None
    if not lined and frame["row"].nunique() > 1 and (frame.groupby("row")["weight"].nunique() == 1).all():
        shade = ("weight", float(frame["weight"].min()), float(frame["weight"].max()))
        weights = frame.groupby("row")["weight"].first()
        series = [replace(s, shades=[float(weights[s.name])] * len(s.x)) for s in series]
    return [
        Chart(
            title=table.title,
            kind="points",
            shade=shade,
            alt=f"{len(frame)} models in the plane of two tasks. " + " ".join(table.findings),
            x_label=str(frame["x_label"].iloc[0]),
            y_label=str(frame["y_label"].iloc[0]),
            series=tuple(series),
            note=table.note,
        )
    ]


def _curves(name: str, own: pd.DataFrame) -> list[Series]:
    """Return the models of each learning rate (and seed, if there are several), joined in the order of the weights."""
    several = own["seed"].nunique() > 1
    found = []
    for (rate, seed), models in own.groupby(["rate", "seed"]):
        title = f"{name}, learning rate {rate:g}{f', seed {seed}' if several else ''}"
        found.append(_series(title, models.sort_values("weight"), True))
    return found


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
