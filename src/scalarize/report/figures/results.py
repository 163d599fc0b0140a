"""Figures of a comparison: intervals, cost against quality, trade-off of two tasks."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from scalarize.analysis import pareto
from scalarize.analysis.comparison import headline
from scalarize.report.charts import Chart, Series

Row = Mapping[str, Any]


def scale_of(rows: Sequence[Row]) -> float:
    """Return 100 if every mean of ``rows`` lies in [0, 1] (shown in points, as in the papers), else 1."""
    means = [cell["mean"] for row in rows for cell in (headline(row), *row["tasks"].values())]
    return 100.0 if all(m is None or 0 <= m <= 1 for m in means) else 1.0


def unit(scale: float, title: str = "average") -> str:
    """Return the axis label of a test metric: the average, or the score of that name."""
    what = "average test metric" if title == "average" else f"test metric, {title}"
    return f"{what} x 100" if scale == 100 else what


def intervals(rows: Sequence[Row], lower_is_better: bool = False, title: str = "average") -> Chart:
    """Show the average of each method with its 95 % interval, best on top; of the score ``title``, if rows have one."""
    scale = scale_of(rows)
    known = [row for row in rows if headline(row)["mean"] is not None]
    sign = 1 if lower_is_better else -1
    order = sorted(known, key=lambda row: sign * headline(row)["mean"])
    place = {row["method"]: k for k, row in enumerate(order)}
    series = tuple(
        Series(
            row["method"],
            [scale * headline(row)["mean"]],
            [place[row["method"]]],
            x_low=[_scaled(headline(row)["low"], scale)],
            x_high=[_scaled(headline(row)["high"], scale)],
        )
        for row in known
    )
    said = "; ".join(f"{row['method']} {scale * headline(row)['mean']:.2f}" for row in order)
    return Chart(
        title="Average on the test split" if title == "average" else f"Test split: {title}",
        kind="intervals",
        alt=f"Mean and 95 % interval of each method, best first: {said}.",
        x_label=unit(scale, title),
        series=series,
        rows=tuple(row["method"] for row in order),
        note="Mean and 95 % interval (Student's t) over searches where a row has them, over seeds elsewhere.",
    )


def cost_against_quality(rows: Sequence[Row], title: str = "average") -> Chart:
    """Show the cost of each row in trainings against its average, or the score ``title`` if rows have one."""
    scale = scale_of(rows)
    known = [row for row in rows if headline(row)["mean"] is not None]
    places = side_by_side([float(row["trainings"]) for row in known], [-headline(row)["mean"] for row in known])
    series = tuple(
        Series(
            row["method"],
            [float(row["trainings"])],
            [scale * headline(row)["mean"]],
            aside=[place],
            low=[_scaled(headline(row)["low"], scale)],
            high=[_scaled(headline(row)["high"], scale)],
            labels=[row["method"]],
        )
        for row, place in zip(known, places, strict=True)
    )
    said = "; ".join(f"{r['method']} {r['trainings']:g} trainings" for r in known)
    return Chart(
        title="Cost against quality",
        kind="points",
        alt=f"Trainings that each row of the table cost, against its {title}: {said}.",
        x_label="trainings (all that the row needed)",
        y_label=unit(scale, title),
        series=series,
        log_x=True,
        named=True,
        note="Further up is better, further left is cheaper. Bars: 95 % interval. Rows of equal cost stand side by "
        "side over one bracket; a name that finds no room is in the legend and under the pointer.",
    )


def side_by_side(cost: Sequence[float], order: Sequence[float], near: float = 0.03) -> list[float]:
    """Return the offsets of points, so that points of about equal cost do not hide each other.

    Args:
        cost: positive costs (N,).
        order: keys (N,) that sort points of equal cost from left to right.
        near: share of the logarithmic axis below which two costs count as equal.

    Returns:
        Offsets (N,) in marker widths; each group keeps its middle.

    >>> side_by_side([3.0, 3.0, 90.0, 3.0], [2, 1, 0, 3])
    [0.0, -1.0, 0.0, 1.0]
    """
    logs = [math.log(max(value, 1e-12)) for value in cost]
    ranked = sorted(range(len(logs)), key=lambda k: (logs[k], order[k]))
    reach = near * (max(logs) - min(logs)) if logs else 0.0
    groups: list[list[int]] = []
    for k in ranked:
        if groups and logs[k] - logs[groups[-1][-1]] <= reach:
            groups[-1].append(k)
        else:
            groups.append([k])
    places = [0.0] * len(logs)
    for group in groups:
        for place, k in enumerate(group):
            places[k] = place - (len(group) - 1) / 2
    return places


def trade_off(
    tasks: tuple[str, str],
    points: Mapping[str, Sequence[tuple[float, float]]],
    lower_is_better: Collection[str] = (),
    sizes: Mapping[str, Sequence[float]] | None = None,
    reference: tuple[float, float] | None = None,
    joined: bool = False,
) -> Chart:
    """Show the metric of one task against the other, one point per run, the front of all runs and its hypervolume.

    Args:
        tasks: names of the two tasks.
        points: method to (first, second) of each run.
        lower_is_better: direction of the metrics.
        sizes: marker areas, such as model sizes.
        reference: the fixed worst corner of the hypervolume. Default: the worst value of each task among all points
            (comparable within this figure only).
        joined: True if points are connected in order.
    """
    maximise = [task not in lower_is_better for task in tasks]
    cloud = np.array([p for own in points.values() for p in own], dtype=np.float64).reshape(-1, 2)
    cloud = cloud[np.isfinite(cloud).all(axis=1)]
    series = [
        Series(
            name,
            [p[0] for p in own],
            [p[1] for p in own],
            labels=[name] * len(own),
            sizes=(sizes or {}).get(name),
            joined=joined,
        )
        for name, own in points.items()
    ]
    note = "No run has both metrics."
    if len(cloud):
        front = cloud[pareto.nondominated(cloud, maximise)]
        front = np.unique(front, axis=0)
        worst = np.where(maximise, cloud.min(axis=0), cloud.max(axis=0))
        corner = worst if reference is None else np.asarray(reference, dtype=np.float64)
        volume = pareto.hypervolume(front, corner, maximise)
        series.append(Series("front", front[:, 0].tolist(), front[:, 1].tolist(), joined=True))
        chosen = "the worst of each task here" if reference is None else "the corner given"
        note = (
            f"{len(front)} of {len(cloud)} runs are on the front; hypervolume {volume:.4g} "
            f"from ({corner[0]:.4g}, {corner[1]:.4g}), {chosen}."
        )
    return Chart(
        title=f"Trade-off between {tasks[0]} and {tasks[1]}",
        kind="points",
        alt=f"Metric of {tasks[0]} against {tasks[1]}, one point a run, and the Pareto front. {note}",
        x_label=tasks[0],
        y_label=tasks[1],
        series=tuple(series),
        note=note,
    )


def _scaled(value: float | None, scale: float) -> float:
    return float("nan") if value is None else scale * value
