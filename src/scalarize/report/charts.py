"""Charts as plain data: the content of a figure, from which both the page and the image files are drawn."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["lines", "stack", "points", "intervals", "heat"]
DIGITS = 5

# Paul Tol's "bright" scheme: distinct for the colour-blind, on white and on black; then again with other dashes.
COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#999999")
DASHES = ("", "6 3", "2 3")
MARKERS = ("circle", "square", "triangle", "diamond")


@dataclass(frozen=True)
class Series:
    """One entry of the legend.

    Args:
        name: name in the legend.
        x: values (N,).
        y: values (N,); NaN breaks a line.
        low: lower ends of a band or of error bars, (N,).
        high: upper ends, (N,).
        labels: text (N,) shown at the pointer.
        sizes: marker areas (N,).
        x_low: lower ends of horizontal error bars, (N,).
        x_high: upper ends, (N,).
        joined: True if points are connected in order.
        aside: offset (N,) to the right (negative: left) at which each point is drawn, in marker widths.
        shades: numbers (N,) that colour the points, on the chart's scale ``shade``; the line keeps its own colour.
        strong: (N,), False for points that are drawn faintly.
        look: colour and dash of a line, by their numbers, and its width, in place of those of the series' place.
        ink: True if it is drawn in the colour of the text.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None
    x_low: Sequence[float] | None = None
    x_high: Sequence[float] | None = None
    labels: Sequence[str] | None = None
    sizes: Sequence[float] | None = None
    aside: Sequence[float] | None = None
    joined: bool = False
    shades: Sequence[float] | None = None
    strong: Sequence[bool] | None = None
    look: tuple[int, int, float] | None = None
    ink: bool = False


@dataclass(frozen=True)
class Chart:
    """A figure. ``alt`` describes it in words.

    ``rows`` names the y categories of ``intervals`` and of ``heat``, ``columns`` the x categories of ``heat``, whose
    ``cells`` (rows x columns) replace the series, or x = 1, 2, ... of ``lines``. ``steps``: values hold from one x to
    the next. ``log_x``: the x axis is logarithmic. ``named``: names of series are written beside their points if there
    is room. ``shade``: label, least and greatest value of the colours of shaded points. ``diagonal``: the line where x
    equals y is drawn, and both axes have the range of both.
    """

    title: str
    kind: Kind
    alt: str
    x_label: str = ""
    y_label: str = ""
    series: tuple[Series, ...] = ()
    rows: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    cells: tuple[tuple[float, ...], ...] = ()
    steps: bool = False
    log_x: bool = False
    note: str = ""
    x_range: tuple[float, float] | None = None
    diverging: bool = field(default=False)
    named: bool = False
    shade: tuple[str, float, float] | None = None
    diagonal: bool = False

    @property
    def name(self) -> str:
        """The title as the name of a file.

        >>> Chart("Cost & quality: all", "points", "").name
        'cost-quality-all'
        """
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")[:100] or "figure"

    def to_dict(self) -> dict[str, Any]:
        """Return the data for the page's script: only what is set, numbers to five significant digits, NaN as None."""
        series = []
        for s in self.series:
            entry: dict[str, Any] = {"name": s.name, "x": numbers(s.x), "y": numbers(s.y)}
            for key in ("low", "high", "x_low", "x_high", "sizes", "aside", "shades", "look"):
                values = getattr(s, key)
                if values is not None:
                    entry[key] = numbers(values)
            if s.labels is not None:
                entry["labels"] = list(s.labels)
            if s.strong is not None:
                entry["strong"] = [bool(strong) for strong in s.strong]
            entry |= {key: True for key in ("joined", "ink") if getattr(s, key)}
            series.append(entry)
        content: dict[str, Any] = {"title": self.title, "kind": self.kind, "series": series}
        content |= {"x_label": self.x_label, "y_label": self.y_label}
        content |= {k: list(getattr(self, k)) for k in ("rows", "columns") if getattr(self, k)}
        content |= {"cells": [numbers(row) for row in self.cells]} if self.cells else {}
        content |= {k: True for k in ("steps", "log_x", "diverging", "named", "diagonal") if getattr(self, k)}
        content |= {"x_range": list(self.x_range)} if self.x_range else {}
        content |= {"shade": list(self.shade)} if self.shade else {}
        return content


def numbers(values: Sequence[float]) -> list[float | None]:
    """Convert to what JSON can hold: five significant digits, None if not finite."""
    return [float(f"{float(v):.{DIGITS}g}") if math.isfinite(float(v)) else None for v in values]
