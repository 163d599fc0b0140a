"""Figures of a study's tables, by the kind of the table. Nothing is drawn here."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from scalarize.analysis.study_tables import StudyTable
from scalarize.report.charts import Chart, Series
from scalarize.report.figures import (
    capacity,
    common,
    conflicts,
    curves,
    heat,
    known_front,
    optimisers,
    results,
    trade_offs,
)
from scalarize.report.figures.common import single_intervals


def charts(table: StudyTable) -> list[Chart]:
    """Return the figures of a table; none if its kind has none, or it is empty."""
    return DRAWN[table.kind](table) if table.kind in DRAWN and not table.frame.empty else []


def _tuning(table: StudyTable) -> list[Chart]:
    frame = table.frame.assign(rate=[f"{r:g}" for r in table.frame["rate"]])
    title = f"Validation metric, {common.settings_in_title(table)}"
    return [heat.heat_of(frame, "rate", "length", "validation", title, ("epochs", "learning rate"), note=table.note)]


def _alike(table: StudyTable) -> list[Chart]:
    title = f"Rank correlation of last weights between searches, {common.settings_in_title(table)}"
    return [heat.matrix(table.frame, "correlation", title, "search", gains=True, note=table.note)]


def _comparison(table: StudyTable) -> list[Chart]:
    frame = table.frame.replace({np.nan: None})
    rows = []
    for method, own in frame.groupby("method", sort=False):
        cells = {r["task"]: {k: r[k] for k in ("mean", "low", "high")} for _, r in own.iterrows()}
        row = {"method": str(method), "average": cells.pop("average"), "tasks": cells}
        rows.append(row | {"trainings": float(own["trainings"].iloc[0])})
    drawn = [results.intervals(rows), results.cost_against_quality(rows)]
    return [Chart(**{**vars(c), "title": f"{c.title}, {common.settings_in_title(table)}"}) for c in drawn]


def _policies(table: StudyTable) -> list[Chart]:
    found = []
    for search, own in table.frame.groupby("search", sort=False):
        wide = own.pivot(index="epoch", columns="task", values="weight")[list(dict.fromkeys(own["task"]))]
        found.append(curves.stacked_weights(wide, str(search), table.note))
    return found


def _imbalance(table: StudyTable) -> list[Chart]:
    series = []
    for domain, own in table.frame.groupby("domain", sort=False):
        counts = own["count"].sort_values(ascending=False).tolist()
        series.append(Series(str(domain), list(range(1, len(counts) + 1)), counts, joined=True))
    return [
        Chart(
            title=table.title,
            kind="points",
            alt="Training samples a class, classes in falling order, by domain. " + " ".join(table.findings),
            x_label="class, the largest first",
            y_label="training samples",
            series=tuple(series),
            note="A task without classes counts as one class. The paper draws the same numbers as contours.",
        )
    ]


def _population(table: StudyTable) -> list[Chart]:
    frame = table.frame[table.frame["population"] > 0]
    keys = ("population", "mean", "low", "high")
    series = [
        Series(f"ready after {ready} epochs", n, mean, low, high, joined=True)
        for ready, own in frame.groupby("ready", sort=False)
        for n, mean, low, high in [[own[k].tolist() for k in keys]]
    ]
    rest = table.frame[table.frame["population"] == 0]
    edge = [float(frame["population"].min()), float(frame["population"].max())]
    series += [Series(str(r["row"]), edge, [r["mean"]] * 2, joined=True) for _, r in rest.iterrows()]
    return [
        Chart(
            title=table.title,
            kind="points",
            alt="Average test metric by size of the population.",
            x_label="members",
            y_label="average test metric",
            series=tuple(series),
            note=table.note,
        )
    ]


def _memory(table: StudyTable) -> list[Chart]:
    series = [
        Series(
            f"{size}, batch {batch}", own["megabytes"].tolist(), list(range(len(own))), labels=own["method"].tolist()
        )
        for (size, batch), own in table.frame.groupby(["size", "batch"], sort=False)
    ]
    methods = tuple(dict.fromkeys(table.frame["method"]))
    return [
        Chart(
            title=table.title,
            kind="intervals",
            alt="Megabytes by which memory rises in a step, by method and setting.",
            x_label="megabytes",
            series=tuple(series),
            rows=methods,
            note=table.note,
        )
    ]


def _cost(table: StudyTable) -> list[Chart]:
    series = []
    for method, own in table.frame.groupby("method", sort=False):
        x, y, low, high = (own[k].tolist() for k in ("tasks", "to_bare", "to_bare_low", "to_bare_high"))
        series.append(Series(str(method), x, y, low, high))
    return [
        Chart(
            title=table.title,
            kind="lines",
            alt="Time of a step over that of a bare loop, by number of tasks, a line a method.",
            x_label="tasks",
            y_label="time of a step, bare loop = 1",
            series=tuple(series),
            note="Median and quartiles over rounds.",
        )
    ]


def _rows(table: StudyTable) -> list[Chart]:
    columns = ("row", "mean", "low", "high")
    return [single_intervals(table, table.frame, *columns, "average test metric", "Average test metric")]


def _tried(table: StudyTable) -> list[Chart]:
    first, second = table.frame.columns[1:3]
    groups = list(table.frame.groupby("row", sort=False))
    series = [Series(str(row), own[first].tolist(), own[second].tolist()) for row, own in groups]
    return [
        Chart(
            title=table.title,
            kind="points",
            alt="Weights tried: " + "; ".join(f"{len(s.x)} by {s.name}" for s in series) + ".",
            x_label=f"weight of {first}",
            y_label=f"weight of {second}",
            series=tuple(series),
            note=table.note,
        )
    ]


DRAWN: dict[str, Callable[[StudyTable], list[Chart]]] = {
    "gains": capacity.gains,
    "trade-off": lambda table: capacity.trade_off(table, apart=False),
    "trade-off-grid": lambda table: capacity.trade_off(table, apart=True),
    "agreement": capacity.agreement,
    "alike": _alike,
    "discrepancy": capacity.discrepancy,
    "conflict-course": conflicts.course,
    "conflict-accuracy": conflicts.against,
    "conflict-axes": conflicts.axes,
    "conflict-pairs": conflicts.pairs,
    "conflict-layers": conflicts.layers,
    "tuning": _tuning,
    "comparison": _comparison,
    "policies": _policies,
    "imbalance": _imbalance,
    "population": _population,
    "memory": _memory,
    "rows": _rows,
    "simplex-points": _tried,
    "cost": _cost,
    "two-tasks": trade_offs.trade_off,
    "known-front": known_front.beside,
    "utility": trade_offs.utility,
    **optimisers.DRAWN,
}
