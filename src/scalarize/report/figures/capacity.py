"""Figures of two tasks at several model sizes: gains over single-task models, trade-offs, training against test."""

from __future__ import annotations

import pandas as pd

from scalarize.analysis.study_tables import StudyTable
from scalarize.report.charts import Chart, Series
from scalarize.report.figures.common import settings_in_title
from scalarize.report.figures.heat import heat_of, matrix

AXES = ("pair of tasks", "size of the model")
MARKS = (
    "Scores are metrics, negated where lower is better: further up and right is better. Lines join the weights of one "
    "size in order; colour: the weight of {first}. Strong marks beat the single-task models of their size on both "
    "tasks, faint ones do not. Larger marks: more parameters. A single-task mark stands for two models, one a task."
)


def gains(table: StudyTable) -> list[Chart]:
    """Show the best weight, and the gains at it, by pair and size (Royer et al. 2023, figure 2)."""
    frame = table.frame.assign(pair=table.frame["pair"].str.replace("|", " + ", regex=False))
    frame = frame.sort_values("parameters", kind="stable")
    titles = {
        "p_star": "Best weight of the first task",
        "gain_first": "Gain of the first task in its metric",
        "gain_second": "Gain of the second task in its metric",
        "gain_average": "Average gain in the metrics",
    }
    where = settings_in_title(table)
    return [
        heat_of(frame, "size", "pair", key, f"{title}, {where}", AXES, gains=key != "p_star", note=table.note)
        for key, title in titles.items()
    ]


def trade_off(table: StudyTable, apart: bool) -> list[Chart]:
    """Show the scores of two tasks over the weight, all sizes in one figure or each in its own (figures 3, B and C
    there).
    """
    found = []
    for pair, own in table.frame.groupby("pair", sort=False):
        first, second = str(pair).split("|")
        groups = list(own.groupby("size", sort=False))
        parts = [(f", {size}", [(str(size), rows)]) for size, rows in groups] if apart else [("", groups)]
        for suffix, kept in parts:
            drawn = [_path(str(size), rows) for size, rows in kept] + [_alone([rows for _, rows in kept])]
            found.append(
                Chart(
                    title=f"{first} against {second}{suffix}, {settings_in_title(table)}",
                    kind="points",
                    alt=f"Test score of {first} and {second} over the weight, {len(drawn)} series. "
                    + " ".join(table.findings),
                    x_label=f"test score of {first}",
                    y_label=f"test score of {second}",
                    series=tuple(drawn),
                    note=MARKS.format(first=first),
                    shade=(f"weight of {first}", 0.0, 1.0),
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
    return Series(
        size, first, second, labels=labels, sizes=area, joined=True, shades=rows["p"].tolist(), strong=_beats(rows)
    )


def _beats(rows: pd.DataFrame) -> list[bool]:
    return [bool(beats) for beats in rows["beats_both"]]


def _alone(sizes: list[pd.DataFrame]) -> Series:
    heads = pd.concat([rows.iloc[:1] for rows in sizes])
    first, second = heads["base_first_test"].tolist(), heads["base_second_test"].tolist()
    labels = [f"{size}, single-task" for size in heads["size"]]
    return Series("single-task models", first, second, labels=labels, sizes=heads["parameters"].tolist(), ink=True)


def agreement(table: StudyTable) -> list[Chart]:
    """Show the agreement of two sizes on the order of the weights."""
    title = f"Rank correlation of weights between sizes, {settings_in_title(table)}"
    return [matrix(table.frame, "correlation", title, "size of the model", gains=True, note=table.note)]


def discrepancy(table: StudyTable) -> list[Chart]:
    """Show gains on training data against gains on test data, one point per seed (figure D there)."""
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
            note=f"{table.note} Above the dotted line test data gain more than training data.",
            diagonal=True,
        )
    ]
