"""Figures of comparisons of optimisers: bands over epochs, ratios of times, onset of overfitting, trade-offs."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from scalarize.analysis.study_tables import StudyTable
from scalarize.report.charts import Chart, Series
from scalarize.report.figures.common import single_intervals


def _name(row: object, kind: object, several: bool) -> str:
    return f"{row}, {kind}" if several else str(row)


def bands(table: StudyTable) -> list[Chart]:
    """Show one line per row and kind over epochs, its interval as a band; kinds other than the first are further
    colours.
    """
    several = table.frame["kind"].nunique() > 1
    series = []
    for (row, kind), own in table.frame.groupby(["row", "kind"], sort=False):
        own = own.sort_values("epoch")
        known = not own["low"].isna().all()
        low, high = (own[key].tolist() if known else None for key in ("low", "high"))
        series.append(Series(_name(row, kind, several), own["epoch"].tolist(), own["mean"].tolist(), low, high))
    ends = "; ".join(f"{s.name} from {s.y[0]:.3g} to {s.y[-1]:.3g}" for s in series)
    label = table.title.partition(" over epochs")[0].lower()
    return [
        Chart(
            title=table.title,
            kind="lines",
            alt=f"{label} over epochs: {ends}.",
            x_label="epoch",
            y_label=label,
            series=tuple(series),
            note=table.note,
        )
    ]


def ratios(table: StudyTable) -> list[Chart]:
    """Show the time of each row's step relative to plain training's, quartiles as bars."""
    frame = table.frame.sort_values("to_bare", kind="stable")
    columns = ("method", "to_bare", "to_bare_low", "to_bare_high")
    said = "Time of a step over plain training"
    return [single_intervals(table, frame, *columns, "time of a step, plain training = 1", said)]


def _grouped(table: StudyTable, frame: pd.DataFrame, title: str, label: str) -> Chart:
    """Show intervals by row, one colour per kind, side by side."""
    rows = list(dict.fromkeys(frame["row"]))
    kinds = list(dict.fromkeys(frame["kind"]))
    series = []
    for k, kind in enumerate(kinds):
        own = frame[frame["kind"] == kind]
        places = [rows.index(r) + 0.16 * (k - (len(kinds) - 1) / 2) for r in own["row"]]
        low, high = (own[key].fillna(own["mean"]).tolist() for key in ("low", "high"))
        series.append(Series(str(kind), own["mean"].tolist(), places, x_low=low, x_high=high))
    said = "; ".join(f"{r['row']}, {r['kind']} {r['mean']:.3g}" for _, r in frame.iterrows())
    return Chart(
        title=title,
        kind="intervals",
        alt=f"{label}: {said}.",
        x_label=label,
        series=tuple(series),
        rows=tuple(map(str, rows)),
        note=table.note + (f" Colours: {', '.join(map(str, kinds))}." if len(kinds) > 1 else ""),
    )


def contrast(table: StudyTable) -> list[Chart]:
    """Show each row's value, one colour per kind."""
    return [_grouped(table, table.frame, table.title, table.title.partition(" (")[0].lower())]


def onset(table: StudyTable) -> list[Chart]:
    """Show the epoch of the best validation score, and the fall of validation after it."""
    head, _, where = table.title.removesuffix(")").rpartition(" (")
    metric = head.partition(", ")[2]  # empty for the average
    labels = {
        "onset": f"epoch of the best validation {metric or 'average'}",
        "drop": f"fall of validation {metric}".rstrip() + " from its best to the end",
    }
    return [
        _grouped(table, table.frame[table.frame["what"] == what], f"{label.capitalize()}, {where}", label)
        for what, label in labels.items()
    ]


def plane(table: StudyTable) -> list[Chart]:
    """Show models in the plane of two metrics, one colour per row, and the front of all of them as a line."""
    frame = table.frame
    name = {"x_label": "x", "y_label": "y"} | {k: str(frame[k].iloc[0]) for k in ("x_label", "y_label")}
    front = frame[frame["front"]].sort_values("x")
    series = [Series("not dominated", front["x"].tolist(), front["y"].tolist(), joined=True)]
    for row, own in frame.groupby("row", sort=False):
        labels = [
            f"{row}{'' if pd.isna(w) else f', weight {w:g}'}, learning rate {r:.2g}, {v:.2g}"
            for w, r, v in zip(own["weight"], own["rate"], own["value"], strict=True)
        ]
        series.append(Series(str(row), own["x"].tolist(), own["y"].tolist(), labels=labels))
    return [
        Chart(
            title=table.title,
            kind="points",
            alt=f"{len(frame)} models in the plane of two metrics, {len(front)} not dominated. "
            + " ".join(table.findings),
            x_label=name["x_label"],
            y_label=name["y_label"],
            series=tuple(series),
            note=table.note,
        )
    ]


def averages(table: StudyTable) -> list[Chart]:
    """Show the test error of every model, then its validation error, one line per row, on the same axis."""
    frame = table.frame.dropna(subset=["validation", "test"])
    rows = tuple(dict.fromkeys(map(str, frame["row"])))
    both = frame[["validation", "test"]].to_numpy()
    edge = 0.02 * float(both.max() - both.min()) if len(frame) else 0.0
    charts = []
    for split in ("test", "validation"):
        series = tuple(
            Series(str(row), own[split].tolist(), [rows.index(str(row))] * len(own))
            for row, own in frame.groupby("row", sort=False)
        )
        charts.append(
            Chart(
                title=f"{split.capitalize()}: {table.title[0].lower()}{table.title[1:]}",
                kind="intervals",
                alt=f"Average {split} error of {len(frame)} models by row. " + " ".join(table.findings),
                x_label=f"average {split} error, percent",
                series=series,
                rows=rows,
                x_range=(float(both.min()) - edge, float(both.max()) + edge) if edge else None,
                note=table.note,
            )
        )
    return charts


def by_rate(table: StudyTable) -> list[Chart]:
    """Show test error over the learning rate, one line per row."""
    series = tuple(
        Series(str(row), own["rate"].tolist(), own["test"].tolist(), joined=True)
        for row, own in table.frame.sort_values("rate").groupby("row", sort=False)
    )
    return [
        Chart(
            title=table.title,
            kind="points",
            alt="Average test error by learning rate. " + " ".join(table.findings),
            x_label="learning rate",
            y_label="test error, percent",
            series=series,
            log_x=True,
            note=table.note,
        )
    ]


def update_times(table: StudyTable) -> list[Chart]:
    """Show the seconds of each row's updates, quartiles as bars."""
    frame = table.frame.sort_values("seconds", kind="stable")
    said = "Seconds for 10,000 updates"
    return [single_intervals(table, frame, "method", "seconds", "low", "high", "seconds for 10,000 updates", said)]


DRAWN: dict[str, Callable[[StudyTable], list[Chart]]] = {
    "bands": bands,
    "update-times": update_times,
    "ratios": ratios,
    "contrast": contrast,
    "onset": onset,
    "plane": plane,
    "averages": averages,
    "by-rate": by_rate,
}
