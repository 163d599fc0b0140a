"""Charts as image files: PNG and PDF, drawn by matplotlib."""

from __future__ import annotations

import io
import textwrap
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from scalarize.report import drawable
from scalarize.report.charts import COLOURS, DASHES, Chart, Series

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKS = ("o", "s", "^", "D")
DPI = 110
TITLE = 64  # letters of a line above the axes, which are narrow beside a legend
INK = "#1b1f24"
SEQUENTIAL = "cividis"
FAINT = 0.35
PLACE = 7 / 72  # inches between points that stand side by side


def draw(chart: Chart) -> Figure:
    """Draw ``chart`` as a matplotlib figure, without a window and without global state."""
    from matplotlib.figure import Figure

    height = max(3.6, 0.16 * len(chart.series) + 0.6)  # a legend has one line per series
    if chart.kind == "heat":
        height = max(2.4, 0.4 * len(chart.rows) + 1.2)
    figure = Figure(figsize=(6.4, height), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(textwrap.fill(chart.title, TITLE), fontsize=10)
    axes.set_xlabel(chart.x_label, fontsize=9)
    axes.set_ylabel(chart.y_label, fontsize=9)
    axes.tick_params(labelsize=8)
    if chart.kind == "heat":
        _heat(figure, axes, chart)
        return figure
    if chart.log_x:
        _log_axis(axes, [x for series in chart.series for x in series.x if x > 0])
    if chart.kind == "stack":
        _stack(axes, chart)
    else:
        for k, series in enumerate(chart.series):
            (_line if chart.kind == "lines" else _points)(axes, chart, series, k)
    if chart.shade is not None:
        _shade_key(figure, axes, chart.shade)
    if chart.diagonal:
        _diagonal(axes)
    if chart.kind == "intervals":
        axes.set_yticks(range(len(chart.rows)), chart.rows)
        axes.invert_yaxis()
    if len(chart.series) > 1 and not {series.name for series in chart.series} <= set(chart.rows):
        axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    if chart.kind in ("lines", "points") and not chart.log_x:
        whole = all(float(x).is_integer() for series in chart.series for x in series.x)
        axes.locator_params(axis="x", integer=whole)  # epochs, members, tasks
    if chart.columns:
        axes.set_xticks(range(1, len(chart.columns) + 1), chart.columns, rotation=35, ha="right")
    if chart.x_range is not None:
        axes.set_xlim(*chart.x_range)
    axes.grid(alpha=0.25, linewidth=0.6)
    if any(series.aside is not None for series in chart.series):
        _room_for_groups(axes, chart.series)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def files(chart: Chart) -> dict[str, bytes]:
    """Return ``png`` and ``pdf``; equal charts give equal bytes."""
    figure = draw(drawable.chart(chart))
    content = {}
    for kind, metadata in (("png", {"Software": None}), ("pdf", {"CreationDate": None, "Producer": None})):
        buffer = io.BytesIO()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)  # a box stands for it
            figure.savefig(buffer, format=kind, dpi=DPI, metadata=metadata)
        content[kind] = buffer.getvalue()
    return content


def _style(k: int, series: Series | None = None) -> tuple[str, str | tuple[int, tuple[float, ...]]]:
    place, turn, _ = (series and series.look) or (k, k // len(COLOURS), 0)
    dash = DASHES[turn % len(DASHES)]
    colour = INK if series is not None and series.ink else COLOURS[place % len(COLOURS)]
    return colour, (0, tuple(float(d) / 2 for d in dash.split())) if dash else "-"


def _line(axes: Axes, chart: Chart, series: Series, k: int) -> None:
    colour, dash = _style(k, series)
    thick = series.look[2] * 0.8 if series.look else 1.6
    axes.plot(series.x, series.y, color=colour, linestyle=dash, linewidth=thick, label=series.name)
    if series.low is not None and series.high is not None:
        axes.fill_between(series.x, series.low, series.high, color=colour, alpha=0.15, linewidth=0)


def _stack(axes: Axes, chart: Chart) -> None:
    if not chart.series:
        return
    x = np.append(np.asarray(chart.series[0].x, dtype=float), float(chart.series[0].x[-1]) + 1)
    base = np.zeros(len(x))
    for k, series in enumerate(chart.series):
        values = np.nan_to_num(np.asarray(series.y, dtype=float))
        top = base + np.append(values, values[-1])
        colour, dash = _style(k)
        area = axes.fill_between(x, base, top, step="post", facecolor=colour, edgecolor="white", label=series.name)
        area.set(linewidth=0.5, hatch=None if dash == "-" else "//")
        base = top
    axes.set_xlim(x[0], x[-1])
    axes.set_ylim(0, max(float(base.max()), 1e-12))


def _points(axes: Axes, chart: Chart, series: Series, k: int) -> None:
    colour, dash = _style(k, series)
    mark = MARKS[k % len(MARKS)]
    x, y = np.asarray(series.x, dtype=float), np.asarray(series.y, dtype=float)
    moved = _aside(axes, series)
    if series.joined and series.shades is None:
        axes.plot(x, y, color=colour, linestyle=dash, linewidth=1)
    elif series.joined:
        axes.plot(x, y, color=colour, linestyle=(0, (5, 4)), linewidth=1, alpha=0.7)
    for low, high, vertical in ((series.low, series.high, True), (series.x_low, series.x_high, False)):
        if low is not None and high is not None:
            draw_bars = axes.vlines if vertical else axes.hlines
            draw_bars(x if vertical else y, low, high, color=colour, linewidth=1.6, **moved)
    sizes = np.full(len(x), 30.0)
    if series.sizes is not None:
        largest = max(float(np.nanmax(other.sizes)) for other in chart.series if other.sizes is not None)
        sizes = 10 + 120 * np.asarray(series.sizes, dtype=float) / max(largest, 1e-12)
    faint: Any = 1.0 if series.strong is None else np.where(np.asarray(series.strong, dtype=bool), 1.0, FAINT)
    if series.shades is None or chart.shade is None:
        axes.scatter(x, y, s=sizes, color=colour, alpha=faint, marker=mark, label=series.name, zorder=3, **moved)
        return
    _, least, most = chart.shade
    by_shade: dict[str, Any] = {"c": list(series.shades), "cmap": SEQUENTIAL, "vmin": least, "vmax": most}
    axes.scatter(x, y, s=sizes, alpha=faint, marker=mark, edgecolors=colour, zorder=3, **by_shade, **moved)
    axes.scatter([], [], s=30, facecolor="white", edgecolors=colour, marker=mark, label=series.name)  # its legend


def _shade_key(figure: Figure, axes: Axes, shade: tuple[str, float, float]) -> None:
    """Draw the scale of shaded points below the axes, where no legend is."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    label, low, high = shade
    bar = figure.colorbar(ScalarMappable(Normalize(low, high), SEQUENTIAL), ax=axes, location="bottom", shrink=0.6)
    bar.set_label(label, fontsize=8)
    bar.ax.tick_params(labelsize=8)


def _diagonal(axes: Axes) -> None:
    """Draw the line where x equals y, and give both axes the range of both."""
    ends = [*axes.get_xlim(), *axes.get_ylim()]
    whole = (min(ends), max(ends))
    axes.plot(whole, whole, color=INK, linewidth=0.8, linestyle=":", zorder=1)
    axes.set(xlim=whole, ylim=whole)


def _aside(axes: Axes, series: Series) -> dict[str, Any]:
    """Return the offset of points that others would hide, as arguments of the drawing functions."""
    from matplotlib.transforms import ScaledTranslation

    if series.aside is None:
        return {}
    right = PLACE * float(series.aside[0])
    return {"transform": axes.transData + ScaledTranslation(right, 0, axes.figure.dpi_scale_trans)}


def _room_for_groups(axes: Axes, series: Sequence[Series]) -> None:
    """Set limits that hold every point and bar (matplotlib ignores shifted ones), and ticks at their x alone."""
    x = np.log10([value for s in series for value in s.x])
    reach = PLACE * max(abs(place) for s in series for place in s.aside or [0.0]) + 0.15
    unit = max(float(np.ptp(x)), 0.1) / max(4.0 - 2 * reach, 1.0)  # the axes are about 4 inches wide
    axes.set_xlim(10 ** (x.min() - reach * unit), 10 ** (x.max() + reach * unit))
    axes.set_xticks(sorted({value for s in series for value in s.x}))
    axes.minorticks_off()
    axes.xaxis.grid(False)
    y = np.array([value for s in series for part in (s.y, s.low or [], s.high or []) for value in part], dtype=float)
    low, high = float(np.nanmin(y)), float(np.nanmax(y))
    pad = 0.06 * (high - low) or 0.5
    axes.set_ylim(low - pad, high + pad)


def _log_axis(axes: Axes, values: Sequence[float]) -> None:
    """Put numbers at powers of ten, and at 2 and 5 times them if there is room."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    wide = bool(values) and max(values) > 500 * min(values)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0,) if wide else (1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _heat(figure: Figure, axes: Axes, chart: Chart) -> None:
    cells = np.ma.masked_invalid(np.array(chart.cells, dtype=float))
    reach = float(np.abs(cells).max()) if cells.count() else 1.0
    shown = axes.imshow(cells, cmap="RdBu" if chart.diverging else SEQUENTIAL, aspect="auto")
    if chart.diverging:
        shown.set_clim(-reach, reach)
    axes.set_xticks(range(len(chart.columns)), chart.columns, rotation=35, ha="right")
    axes.set_yticks(range(len(chart.rows)), chart.rows)
    figure.colorbar(shown, ax=axes).ax.tick_params(labelsize=8)
