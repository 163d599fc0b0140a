"""Figures of two tasks and of conflicts show what the paper's show: weights, sizes, layers that can be read."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest

from scalarize.analysis.study_tables import StudyTable
from scalarize.report import images
from scalarize.report.charts import Chart, Series
from scalarize.report.figures import capacity, conflicts


def trade_off() -> list[Chart]:
    rows: list[dict[str, Any]] = []
    for (size, parameters), (k, p) in itertools.product((("small", 10), ("large", 40)), enumerate((0.1, 0.5, 0.9))):
        place = {"pair": "a|b", "size": size, "parameters": parameters, "p": p}
        rows.append(place | {"first_test": 0.5 + 0.1 * k, "second_test": 0.7 - 0.1 * k, "beats_both": k == 1})
        rows[-1] |= {"base_first_test": 0.55, "base_second_test": 0.55}
    return capacity.trade_off(StudyTable("trade-off", "Trade-off (w)", pd.DataFrame(rows), ""), apart=False)


def test_a_trade_off_shows_weight_and_success_in_page_and_image() -> None:
    (chart,) = trade_off()
    *paths, alone = chart.to_dict()["series"]
    assert [s["shades"] for s in paths] == [[0.1, 0.5, 0.9]] * 2
    assert [s["strong"] for s in paths] == [[False, True, False]] * 2
    assert alone["ink"]
    assert chart.to_dict()["shade"] == ["weight of a", 0.0, 1.0]
    figure = images.draw(chart)
    figure.draw_without_rendering()
    points = [c for c in figure.axes[0].collections if len(c.get_offsets()) == 3]
    colours = [c.get_facecolor() for c in points]
    assert len(points) == 2
    for own in colours:
        assert own[:, 3].tolist() == pytest.approx([images.FAINT, 1.0, images.FAINT])
        assert len({tuple(c[:3]) for c in own.round(3).tolist()}) == 3
    small, large = (float(c.get_sizes()[0]) for c in points)
    assert large > 2 * small  # marks are as large as the models, not as the largest of each
    assert "weight of a" in {a.get_xlabel() for a in figure.axes}


def courses() -> pd.DataFrame:
    shape = itertools.product(("uniform", "pcgrad"), (5e-4, 5e-3, 1e-2), (3, 6, 9), (0.5, 0.75, 1.0), (1, 2))
    rows = [
        {"method": m, "rate": r, "batch": 8, "depth": d, "width": w, "decoder": np.nan, "epoch": e, "share": 0.1 * e}
        for m, r, d, w, e in shape
    ]
    return pd.DataFrame(rows).assign(loss=1.0, score=0.7)


def test_conflicts_have_a_line_for_each_model_size() -> None:
    table = StudyTable("conflict-course", "Conflicts (w)", courses(), "")
    charts = conflicts.course(table)
    assert len(charts) == 4  # share and loss, with and without the method
    assert len({c.name for c in charts}) == 4
    for chart in charts:
        assert len(chart.series) == 27
        assert len({s.look for s in chart.series}) == 27
        assert len({s.name for s in chart.series}) == 27
    by_batch = conflicts.course(StudyTable("c", "C (w)", pd.concat([courses(), courses().assign(batch=16)]), ""))
    assert len(by_batch) == 2 * 2 * 3
    assert {s.name.partition(",")[0] for c in by_batch for s in c.series} == {"batches of 8", "batches of 16"}


def test_layers_are_rows_that_can_be_read() -> None:
    blocks = [f"encoder.1.layer3.{k}.conv{c}.weight" for k in range(23) for c in (1, 2, 3)]
    frame = pd.DataFrame({"layer": ["encoder.1.conv1.weight", *blocks], "depth": 101, "width": 1.0, "share": 0.5})
    (chart,) = conflicts.layers(StudyTable("conflict-layers", "Layers (w)", frame, ""))
    assert chart.rows == ("conv1", *(f"layer3.{k}" for k in range(23)))
    few = frame.head(4)
    (chart,) = conflicts.layers(StudyTable("conflict-layers", "Layers (w)", few, ""))
    assert chart.rows == ("conv1", "layer3.0.conv1", "layer3.0.conv2", "layer3.0.conv3")


def test_the_diagonal_is_seen_whole() -> None:
    chart = Chart("t", "points", "a", series=(Series("s", [-0.05, -0.04], [0.01, 0.02]),), diagonal=True)
    (axes,) = images.draw(chart).axes
    assert axes.get_xlim() == axes.get_ylim()
    assert chart.to_dict()["diagonal"]
