"""Figures of conflicting gradients: over epochs, against the score, by axis, by pair of tasks and by layer."""

from __future__ import annotations

from scalarize.analysis.study_tables import StudyTable
from scalarize.report.charts import Chart, Series
from scalarize.report.figures.common import settings_in_title, single_intervals
from scalarize.report.figures.heat import heat_of, matrix

MOST_LINES = 14


def course(table: StudyTable) -> list[Chart]:
    """Show conflicts and losses over epochs, one line per method and learning rate (Royer et al. 2023, figures 4 and
    E).
    """
    frame = table.frame
    # One line per method and learning rate; sizes differ little, so they are a band.
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
                title=f"{label.split(',')[0].capitalize()} over epochs, {settings_in_title(table)}",
                kind="lines",
                alt=f"{label} over epochs: {ends}.",
                x_label="epoch",
                y_label=label,
                series=tuple(series),
                note="Line: mean over model sizes and seeds; band: lowest to highest size.",
            )
        )
    return found


def against(table: StudyTable) -> list[Chart]:
    """Show the share of conflicts against the final score, one point per run."""
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
    """Show the share of conflicts in single layers, by size."""
    frame = table.frame.assign(
        setting=[f"depth {d}, width {w:g}" for d, w in zip(table.frame["depth"], table.frame["width"], strict=True)]
    )
    title = f"Share of conflicts by layer, {settings_in_title(table)}"
    return [heat_of(frame, "setting", "layer", "share", title, ("layer", "size of the model"), note=table.note)]
