"""Figures of results/when-search-pays.md: gains over the best free rule by the level of a dose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scalarize.analysis.statistics import Difference
from scalarize.report.charts import Chart, Series

POINTS = 100
GAP = 0.012  # of the width of the axes, between the points of two series at one level


def figure(title: str, axis: str, gains: Mapping[str, Mapping[float, Difference]]) -> Chart:
    """Make the figure of a dose from heading -> level -> gain."""
    levels = sorted({level for own in gains.values() for level in own})
    log = bool(levels) and levels[0] > 0 and levels[-1] >= 10 * levels[0]
    series = []
    for number, (name, own) in enumerate(gains.items()):
        x = _aside(list(own), number - (len(gains) - 1) / 2, log)
        low, high = ([POINTS * getattr(d, end) for d in own.values()] for end in ("low", "high"))
        series.append(Series(name, x, [POINTS * d.mean for d in own.values()], low, high, joined=True))
    if levels:
        series.append(Series("best free rule", [levels[0], levels[-1]], [0.0, 0.0], joined=True, ink=True))
    alt = f"{title}: gain of searches over the best free rule, in points, by {axis}, with 95 % intervals"
    return Chart(title, "points", alt, axis, "gain over the best free rule, points", tuple(series), log_x=log)


def _aside(levels: Sequence[float], places: float, log: bool) -> list[float]:
    """Move the points of a series a little to one side, so that none hides another."""
    if log:
        return [x * (levels[-1] / levels[0]) ** (GAP * places) for x in levels]
    return [x + GAP * places * (levels[-1] - levels[0]) for x in levels]
