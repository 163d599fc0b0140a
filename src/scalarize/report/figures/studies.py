"""Figures of a study's tables, by the kind of the table. Nothing is drawn here."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from scalarize.analysis.study_tables import Table
from scalarize.report.charts import Chart, Kind, Series
from scalarize.report.figures import courses, optimisers, results, trade_offs
from scalarize.report.figures.heat import heat_map
from scalarize.report.figures.single import single_intervals

MOST_LINES = 14


def charts(table: Table) -> list[Chart]:
    """The figures of a table; none where its kind has none, or it is empty."""
    return DRAWN[table.kind](table) if table.kind in DRAWN and not table.frame.empty else []


def heat(
    frame: pd.DataFrame,
    rows: str,
    columns: str,
    value: str,
    title: str,
    diverging: bool = False,
    note: str = "",
) -> Chart:
    """A heat map of ``value``, in order of appearance; cells without a row are empty."""
    row_names, column_names = (list(dict.fromkeys(frame[k])) for k in (rows, columns))
    table = frame.groupby([rows, columns])[value].mean()
    cells = [[float(table.get((r, c), np.nan)) for c in column_names] for r in row_names]
    return heat_map(title, [*map(str, row_names)], [*map(str, column_names)], cells, columns, diverging, note)


def _gains(table: Table) -> list[Chart]:
    frame = table.frame.assign(pair=table.frame["pair"].str.replace("|", " + ", regex=False))
    frame = frame.sort_values("parameters", kind="stable")
    titles = {
        "p_star": "Best weight of the first task",
        "gain_first": "Gain of the first task",
        "gain_second": "Gain of the second task",
        "gain_average": "Average gain",
    }
    where = _of(table)
    return [
        heat(frame, "size", "pair", key, f"{title}, {where}", key != "p_star", table.note)
        for key, title in titles.items()
    ]


def _trade_off(table: Table, apart: bool) -> list[Chart]:
    found = []
    for pair, own in table.frame.groupby("pair", sort=False):
        first, second = str(pair).split("|")
        groups = list(own.groupby("size", sort=False))
        parts = [(f", {size}", [(str(size), rows)]) for size, rows in groups] if apart else [("", groups)]
        for suffix, kept in parts:
            drawn = [_path(str(size), rows) for size, rows in kept] + [_alone([rows for _, rows in kept])]
            note = "Larger marks: more parameters. A single-task mark stands for two models, one a task."
            found.append(
                Chart(
                    title=f"{first} against {second}{suffix}, {_of(table)}",
                    kind="points",
                    alt=f"Test score of {first} and {second} over the weight, {len(drawn)} series. "
                    + " ".join(table.findings),
                    x_label=first,
                    y_label=second,
                    series=tuple(drawn),
                    note=note,
                )
            )
    return found


def _path(size: str, rows: pd.DataFrame) -> Series:
    rows = rows.sort_values("p", kind="stable")
    area = rows["parameters"].tolist()
    labels = [
        f"{size}, p = {p:g}" + (", beats both" if b else "") for p, b in zip(rows["p"], rows["beats_both"], strict=True)
    ]
    first, second = rows["first_test"].tolist(), rows["second_test"].tolist()
    return Series(size, first, second, labels=labels, sizes=area, joined=True)


def _alone(sizes: list[pd.DataFrame]) -> Series:
    heads = pd.concat([rows.iloc[:1] for rows in sizes])
    first, second = heads["base_first_test"].tolist(), heads["base_second_test"].tolist()
    labels = [f"{size}, single-task" for size in heads["size"]]
    return Series("single-task models", first, second, labels=labels, sizes=heads["parameters"].tolist())


def _matrix(value: str, diverging: bool, title: str) -> Callable[[Table], list[Chart]]:
    def draw(table: Table) -> list[Chart]:
        frame = table.frame
        mirrored = pd.concat([frame, frame.rename(columns={"a": "b", "b": "a"})], ignore_index=True)
        names = list(dict.fromkeys([*frame["a"], *frame["b"]]))
        mirrored = mirrored.assign(
            place=mirrored["a"].map(names.index) * len(names) + mirrored["b"].map(names.index)
        ).sort_values("place")
        order = pd.DataFrame({"a": names, "b": names, value: np.nan})
        chart = heat(pd.concat([order, mirrored]), "a", "b", value, f"{title}, {_of(table)}", diverging, table.note)
        return [chart]

    return draw


def _discrepancy(table: Table) -> list[Chart]:
    series = [
        Series(str(size), (own["train_gain_average"]).tolist(), own["gain_average"].tolist())
        for size, own in table.frame.groupby("size", sort=False)
    ]
    return [
        Chart(
            title=table.title,
            kind="points",
            alt="Average gain on the training split against that on the test split. " + " ".join(table.findings),
            x_label="average gain on training data",
            y_label="average gain on test data",
            series=tuple(series),
            note=table.note,
        )
    ]


def _course(table: Table) -> list[Chart]:
    frame = table.frame
    # One line a method and learning rate; sizes differ little, so they are a band.
    found = []
    for value, label in (("share", "share of conflicting pairs"), ("loss", "training loss, mean over tasks")):
        series = []
        for (method, rate), own in list(frame.groupby(["method", "rate"], sort=False))[:MOST_LINES]:
            over = own.groupby("epoch")[value].agg(["mean", "min", "max"])
            name = f"{method}, learning rate {rate:g}"
            lows, highs = over["min"].tolist(), over["max"].tolist()
            series.append(Series(name, over.index.tolist(), over["mean"].tolist(), lows, highs))
        ends = "; ".join(f"{s.name} ends at {s.y[-1]:.3g}" for s in series)
        found.append(
            Chart(
                title=f"{label.split(',')[0].capitalize()} over epochs, {_of(table)}",
                kind="lines",
                alt=f"{label} over epochs: {ends}.",
                x_label="epoch",
                y_label=label,
                series=tuple(series),
                note="Line: mean over model sizes and seeds; band: lowest to highest size.",
            )
        )
    return found


def _against(table: Table) -> list[Chart]:
    series = [
        Series(f"{m}, learning rate {r:g}", own["score"].tolist(), own["share"].tolist())
        for (m, r), own in list(table.frame.groupby(["method", "rate"], sort=False))[:MOST_LINES]
    ]
    return [
        Chart(
            title=table.title,
            kind="points",
            alt="Share of conflicts against the final score, a point a run. " + " ".join(table.findings),
            x_label="average test metric",
            y_label="share of conflicting pairs",
            series=tuple(series),
            note=table.note,
        )
    ]


def _axes(table: Table) -> list[Chart]:
    frame = table.frame.sort_values("variance x 1e4", ascending=False)
    columns = ("axis", "variance x 1e4", "low", "high")
    said = "Variance of the share of conflicts by axis (x 1e-4)"
    return [single_intervals(table, frame, *columns, "variance x 1e4, median over settings", said)]


def _layers(table: Table) -> list[Chart]:
    frame = table.frame.assign(
        setting=[f"depth {d}, width {w:g}" for d, w in zip(table.frame["depth"], table.frame["width"], strict=True)]
    )
    return [heat(frame, "setting", "layer", "share", table.title, note=table.note)]


def _tuning(table: Table) -> list[Chart]:
    frame = table.frame.assign(rate=[f"{r:g}" for r in table.frame["rate"]])
    return [heat(frame, "rate", "length", "validation", table.title, note=table.note)]


def _comparison(table: Table) -> list[Chart]:
    frame = table.frame.replace({np.nan: None})
    rows = []
    for method, own in frame.groupby("method", sort=False):
        cells = {r["task"]: {k: r[k] for k in ("mean", "low", "high")} for _, r in own.iterrows()}
        row = {"method": str(method), "average": cells.pop("average"), "tasks": cells}
        rows.append(row | {"trainings": float(own["trainings"].iloc[0])})
    drawn = [results.intervals(rows), results.cost_against_quality(rows)]
    return [Chart(**{**vars(c), "title": f"{c.title}, {_of(table)}"}) for c in drawn]


def _policies(table: Table) -> list[Chart]:
    found = []
    for search, own in table.frame.groupby("search", sort=False):
        wide = own.pivot(index="epoch", columns="task", values="weight")[list(dict.fromkeys(own["task"]))]
        found.append(courses.stacked_weights(wide, str(search), table.note))
    return found


def _imbalance(table: Table) -> list[Chart]:
    series = []
    for domain, own in table.frame.groupby("domain", sort=False):
        counts = own["count"].sort_values(ascending=False).tolist()
        series.append(Series(str(domain), list(range(1, len(counts) + 1)), counts))
    kind: Kind = "lines" if max(len(s.x) for s in series) > 1 else "points"
    return [
        Chart(
            title=table.title,
            kind=kind,
            alt="Training samples a class, classes in falling order, by domain. " + " ".join(table.findings),
            x_label="class, the largest first",
            y_label="training samples",
            series=tuple(series),
            note="The paper draws the same numbers as contours.",
        )
    ]


def _population(table: Table) -> list[Chart]:
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


def _memory(table: Table) -> list[Chart]:
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


def _cost(table: Table) -> list[Chart]:
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


def _tried(table: Table) -> list[Chart]:
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


def _of(table: Table) -> str:
    """The workload, and what the title says besides the table's kind."""
    inside = table.title.rpartition("(")[2].rstrip(")")
    sizes = table.title.partition(",")[2].partition("(")[0].strip()
    return f"{inside}, {sizes}" if sizes else inside


DRAWN: dict[str, Callable[[Table], list[Chart]]] = {
    "gains": _gains,
    "trade-off": lambda table: _trade_off(table, apart=False),
    "trade-off-grid": lambda table: _trade_off(table, apart=True),
    "agreement": _matrix("correlation", True, "Rank correlation of weights between sizes"),
    "alike": _matrix("correlation", True, "Rank correlation of last weights between searches"),
    "discrepancy": _discrepancy,
    "conflict-course": _course,
    "conflict-accuracy": _against,
    "conflict-axes": _axes,
    "conflict-pairs": _matrix("share", False, "Share of conflicts by pair"),
    "conflict-layers": _layers,
    "tuning": _tuning,
    "comparison": _comparison,
    "policies": _policies,
    "imbalance": _imbalance,
    "population": _population,
    "memory": _memory,
    "simplex-points": _tried,
    "cost": _cost,
    "two-tasks": trade_offs.trade_off,
    "utility": trade_offs.utility,
    **optimisers.DRAWN,
}
