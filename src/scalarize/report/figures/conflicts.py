"""Figures of conflicting gradients: over epochs, against the score, by axis, by pair of tasks and by layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from scalarize.analysis.study_tables import StudyTable
from scalarize.report.charts import Chart, Series
from scalarize.report.figures.common import settings_in_title, single_intervals
from scalarize.report.figures.heat import heat_of, matrix

MOST_LAYERS = 36  # rows of a heat map that can still be read
SIZE = ["depth", "width", "decoder"]
THIN, THICK = 1.0, 3.2
WORDS = {"rate": "learning rate", "batch": "batches of"}
COLOURED = {"rate": "learning rate", "batch": "batch size"}


def course(table: StudyTable) -> list[Chart]:
    """Show conflicts and losses over epochs, one line per model size and learning rate, or batch size (Royer et al.
    2023, figures 4 and E); a figure per method, and per learning rate if batches differ.
    """
    found = []
    for value, label in (("share", "share of conflicting pairs"), ("loss", "training loss, mean over tasks")):
        for what, colour, own in _parts(table.frame):
            series = [
                Series(f"{WORDS[colour]} {key:g}, {size}", rows["epoch"].tolist(), rows[value].tolist(), look=look)
                for key, size, look, rows in _lines(own, colour)
            ]
            ends = own.loc[own["epoch"] == own["epoch"].max(), value]
            found.append(
                Chart(
                    title=f"{label.split(',')[0].capitalize()} over epochs, {what}, {settings_in_title(table)}",
                    kind="lines",
                    alt=f"{label} over epochs, {len(series)} lines, which end between {ends.min():.3g} and "
                    f"{ends.max():.3g}.",
                    x_label="epoch",
                    y_label=label,
                    series=tuple(series),
                    note=f"A line a model size, mean over seeds. Colour: {COLOURED[colour]}; dash: depth; thick: wide.",
                )
            )
    return found


def against(table: StudyTable) -> list[Chart]:
    """Show the share of conflicts against the score: a point per epoch, joined in their order, or a point per run."""
    charts = []
    followed = "epoch" in table.frame
    for what, colour, own in _parts(table.frame):
        series = []
        if followed:
            means = own.groupby([colour, *SIZE, "epoch"], sort=False, dropna=False)[["share", "score"]].mean()
            for key, size, look, rows in _lines(means.reset_index(), colour):
                labels = [f"{WORDS[colour]} {key:g}, {size}, epoch {epoch}" for epoch in rows["epoch"]]
                x, y = rows["score"].tolist(), rows["share"].tolist()
                series.append(Series(f"{WORDS[colour]} {key:g}, {size}", x, y, labels=labels, joined=True, look=look))
        else:
            groups = list(own.groupby(colour, sort=False))
            series = [Series(f"{WORDS[colour]} {key:g}", r["score"].tolist(), r["share"].tolist()) for key, r in groups]
        charts.append(
            Chart(
                title=f"Conflicts against the score, {what}, {settings_in_title(table)}",
                kind="points",
                alt="Share of conflicts against the score. " + " ".join(table.findings),
                x_label="score",
                y_label="share of conflicting pairs",
                series=tuple(series),
                note=table.note + (" Points of one model size are joined in the order of epochs." if followed else ""),
            )
        )
    return charts


def _parts(frame: pd.DataFrame) -> list[tuple[str, str, pd.DataFrame]]:
    """Return for each figure its name, the column that colours its lines, and its rows."""
    frame = frame if "decoder" in frame else frame.assign(decoder="")
    batches = "batch" in frame and frame["batch"].nunique() > 1
    keys = ["method", "rate"] if batches else ["method"]
    found = []
    for key, own in frame.groupby(keys, sort=False):
        names = key if isinstance(key, tuple) else (key,)
        what = str(names[0]) + (f", learning rate {names[1]:g}" if batches else "")
        found.append((what, "batch" if batches else "rate", own))
    return found


def _lines(frame: pd.DataFrame, colour: str) -> list[tuple[Any, str, tuple[int, int, float], pd.DataFrame]]:
    """Return for each line the value that colours it, the name of its size, its look, and its rows by epoch."""
    colours, depths = _places(frame[colour]), _places(frame["depth"].astype(str))
    widths = _places(frame["width"])
    found = []
    for (key, depth, width, decoder), own in frame.groupby([colour, *SIZE], sort=False, dropna=False):
        thick = THIN + (THICK - THIN) * widths[width] / max(len(widths) - 1, 1)
        shared = "" if str(decoder) in ("", "nan") else f", {decoder} decoder layers shared"
        look = (colours[key], depths[str(depth)], thick)
        found.append((key, f"depth {depth}, width {width:g}{shared}", look, own.sort_values("epoch", kind="stable")))
    return found


def _places(values: pd.Series[Any]) -> dict[Any, int]:
    """Return value -> its number among the sorted values, sorted as numbers if they are."""
    known = list(values.unique())
    numeric = pd.to_numeric(pd.Series(known), errors="coerce").notna().all()
    return {value: place for place, value in enumerate(sorted(known, key=float if numeric else str))}


def axes(table: StudyTable) -> list[Chart]:
    """Show the change of the share of conflicts along each axis (figure 5a there)."""
    frame = table.frame.sort_values("variance x 1e4", ascending=False)
    columns = ("axis", "variance x 1e4", "low", "high")
    said = "Variance of the share of conflicts by axis, x 1e-4"
    return [single_intervals(table, frame, *columns, "variance of the share, x 1e-4, median over settings", said)]


def pairs(table: StudyTable) -> list[Chart]:
    """Show the share of conflicts between two tasks or domains."""
    title = f"Share of conflicts by pair, {settings_in_title(table)}"
    return [matrix(table.frame, "share", title, "task or domain", note=table.note)]


def layers(table: StudyTable) -> list[Chart]:
    """Show the share of conflicts in single layers, or in blocks of them if they are many, by size."""
    names = dict(zip(table.frame["layer"], _short(list(table.frame["layer"])), strict=True))
    frame = table.frame.assign(
        layer=table.frame["layer"].map(names),
        setting=[f"depth {d}, width {w:g}" for d, w in zip(table.frame["depth"], table.frame["width"], strict=True)],
    )
    title = f"Share of conflicts by layer, {settings_in_title(table)}"
    return [heat_of(frame, "layer", "setting", "share", title, ("size of the model", "layer"), note=table.note)]


def _short(layers: Sequence[str]) -> list[str]:
    """Return names without what all of them share, and without what tells more than MOST_LAYERS of them apart."""
    parts = [name.split(".") for name in layers]
    while min(map(len, parts)) > 1 and len({p[-1] for p in parts}) == 1:
        parts = [p[:-1] for p in parts]
    while min(map(len, parts)) > 1 and len({p[0] for p in parts}) == 1:
        parts = [p[1:] for p in parts]
    longest = max(map(len, parts))
    while longest > 1 and len({tuple(p[:longest]) for p in parts}) > MOST_LAYERS:
        longest -= 1
    return [".".join(p[:longest]) for p in parts]
