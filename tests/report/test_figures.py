"""Charts say what their numbers say, and draw as images."""

import numpy as np
import pandas as pd
import pytest

from reading import numbers
from scalarize.report import images
from scalarize.report.charts import Chart, Series
from scalarize.report.figures import heat, results
from scalarize.utils.errors import RequestError


def test_heat_map_names_its_extremes_and_keeps_gaps():
    chart = heat.heat_map("Gain", ["3", "6"], ["0.5", "1"], [[-1.0, np.nan], [0.5, 2.0]], "width", gains=True)
    assert numbers(chart.alt) == [-1, 0.5, 1, 2, 3, 6]  # least and greatest, each with its row and column
    assert chart.to_dict()["cells"] == [[-1.0, None], [0.5, 2.0]]
    assert images.files(chart)["png"].startswith(b"\x89PNG")
    assert numbers(heat.heat_map("x", ["a"], ["b"], [[np.nan]]).alt) == [1, 1]  # its size alone
    with pytest.raises(RequestError, match="2 rows and 1 columns"):
        heat.heat_map("x", ["a", "b"], ["c"], [[1.0]])


def test_a_matrix_of_pairs_is_mirrored_and_its_axes_are_named():
    frame = pd.DataFrame({"a": ["x", "x", "y"], "b": ["y", "z", "z"], "share": [0.1, 0.2, 0.3]})
    chart = heat.matrix(frame, "share", "Conflicts", "task", note="n")
    assert chart.to_dict()["cells"] == [[None, 0.1, 0.2], [0.1, None, 0.3], [0.2, 0.3, None]]
    assert (chart.x_label, chart.y_label, chart.note) == ("task", "task", "n")
    assert chart.rows == chart.columns == ("x", "y", "z")


def test_whole_numbers_have_no_ticks_between_them():
    def ticks(x):
        figure = images.draw(Chart("t", "lines", "a", series=(Series("s", x, [1.0, 2.0]),)))
        return [float(tick) for tick in figure.axes[0].get_xticks()]

    assert all(tick.is_integer() for tick in ticks([1, 2]))
    assert not all(tick.is_integer() for tick in ticks([1.0, 2.5]))


def test_a_logarithmic_axis_over_many_powers_of_ten_names_those_alone():
    for x, few in (([1e-4, 1e-2, 1.0], True), ([1.0, 40.0], False)):
        figure = images.draw(Chart("t", "points", "a", series=(Series("s", x, [1.0] * len(x)),), log_x=True))
        figure.draw_without_rendering()
        shown = [tick for tick in figure.axes[0].get_xticks() if min(x) <= tick <= max(x)]
        assert all(round(np.log10(tick), 6) % 1 == 0 for tick in shown) == few


def test_a_matrix_of_pairs_is_mirrored_and_its_diagonal_empty():
    frame = pd.DataFrame({"a": ["x"], "b": ["y"], "share": [0.3]})
    assert heat.matrix(frame, "share", "Conflicts", "task").to_dict()["cells"] == [[None, 0.3], [0.3, None]]


def test_trade_off_marks_the_front_by_the_given_corner():
    points = {"x": [(1.0, 3.0), (3.0, 1.0)], "y": [(1.0, 1.0), (2.0, float("nan"))]}
    chart = results.trade_off(("a", "b"), points, reference=(0.0, 0.0), sizes={"x": [1.0, 4.0], "y": [1.0, 1.0]})
    assert (list(chart.series[-1].x), list(chart.series[-1].y)) == ([1.0, 3.0], [3.0, 1.0])
    assert numbers(chart.note) == [0, 0, 2, 3, 5]  # runs on the front, of all; the volume from its corner
    lower = results.trade_off(("a", "b"), points, lower_is_better={"a", "b"})
    assert list(lower.series[-1].x) == [1.0]
    assert not numbers(results.trade_off(("a", "b"), {}).note)
    assert images.files(chart)["png"] == images.files(chart)["png"]
    assert images.files(chart)["pdf"].startswith(b"%PDF")


def test_intervals_are_ordered_by_what_is_better():
    cell = {"mean": 0.5, "low": None, "high": None}
    rows = [
        {"method": "x", "average": cell, "tasks": {}, "trainings": 1},
        {"method": "y", "average": cell | {"mean": 0.7}, "tasks": {}, "trainings": 2},
    ]
    assert results.intervals(rows).rows == ("y", "x")
    assert results.intervals(rows, lower_is_better=True).rows == ("x", "y")
    assert results.cost_against_quality(rows).to_dict()["series"][1]["y"] == [70.0]


def test_rows_of_about_equal_cost_stand_side_by_side_best_first():
    rows = [
        {
            "method": name,
            "average": {"mean": mean, "low": mean - 0.1, "high": mean + 0.1},
            "tasks": {},
            "trainings": cost,
        }
        for name, mean, cost in (("x", 0.5, 3), ("y", 0.7, 3), ("z", 0.6, 3.05), ("far", 0.6, 90))
    ]
    chart = results.cost_against_quality(rows)
    assert [s.aside for s in chart.series] == [[0.0], [-1.0], [1.0], [0.0]]
    (axes,) = images.draw(chart).axes
    assert axes.get_xlim()[0] < 3 < 90 < axes.get_xlim()[1]
    assert axes.get_ylim()[0] < 40 < 80 < axes.get_ylim()[1]
    assert results.side_by_side([], []) == []
