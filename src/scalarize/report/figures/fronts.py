"""The points of one model for all preferences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from scalarize.report.charts import Chart, Series

NAMED = 20  # tasks whose names fit below an axis


def chart(content: Mapping[str, Any], run: str = "") -> Chart:
    """Show the points of a ``front.json``: a plane for two tasks, parallel coordinates for more.

    Args:
        content: of ``front.json``.
        run: name for the title, beside those of other runs. Default: none.
    """
    tasks = content["tasks"]
    split = "test" if content["points"] and "test" in content["points"][0] else content["nondominated_by"]
    known = [p for p in content["points"] if None not in p[split].values()]
    note = f"{content['front']}: one model, measured on {split} at {len(content['points'])} preferences."
    drawn = (_plane if len(tasks) == 2 else _parallel)(content, known, split, note)
    return replace(drawn, title=f"{drawn.title}: {run}") if run else drawn


def _plane(content: Mapping[str, Any], known: list[Any], split: str, note: str) -> Chart:
    a, b = content["tasks"]
    whole = Series(
        "preferences",
        [p[split][a] for p in known],
        [p[split][b] for p in known],
        labels=[f"{a} {p['preference'][a]:.3g}, {b} {p['preference'][b]:.3g}" for p in known],
        joined=True,
        shades=[p["preference"][b] for p in known],
        strong=[bool(p["nondominated"]) for p in known],
    )
    return Chart(
        title=f"The front of {a} and {b}",
        kind="points",
        alt=f"Metrics of {a} and {b} at each preference. {note}",
        x_label=f"{a}: {content['metrics'][a]}",
        y_label=f"{b}: {content['metrics'][b]}",
        series=(whole,),
        note=f"{note} Faint: dominated on {content['nondominated_by']}.",
        shade=(f"preference for {b}", 0.0, 1.0),
    )


def _parallel(content: Mapping[str, Any], known: list[Any], split: str, note: str) -> Chart:
    tasks = content["tasks"]
    lows = {t: min((p[split][t] for p in known), default=0.0) for t in tasks}
    highs = {t: max((p[split][t] for p in known), default=1.0) for t in tasks}

    def height(task: str, value: float) -> float:
        share = (value - lows[task]) / ((highs[task] - lows[task]) or 1.0)
        return share if content["higher_is_better"][task] else 1.0 - share

    numbered = ", ".join(f"{k} {t}" for k, t in enumerate(tasks, start=1))
    series = tuple(
        Series(
            ", ".join(f"{p['preference'][t]:.2f}" for t in tasks),
            [float(k) for k in range(1, len(tasks) + 1)],
            [height(t, p[split][t]) for t in tasks],
        )
        for p in known
        if p["nondominated"]
    )
    return Chart(
        title=f"The front of {len(tasks)} tasks",
        kind="lines",
        alt=f"Parallel coordinates: a line for each preference over the tasks {numbered}. {note}",
        x_label="task, in the order of the preference",
        columns=tuple(tasks) if len(tasks) <= NAMED else (),
        y_label="metric: 0 worst, 1 best point",
        series=series,
        note=f"{note} Lines: points not dominated on {content['nondominated_by']}."
        + ("" if len(tasks) <= NAMED else f" Tasks: {numbered}."),
    )
