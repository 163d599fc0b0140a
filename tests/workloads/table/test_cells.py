"""Cells: numbers, dates, truth and words, as people write them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from scalarize.workloads.table.cells import understand

N = 40


def column(cells: list[Any], asked: str | None = None) -> Any:
    return understand("x", pd.Series(cells), asked)


def test_a_few_words_among_numbers_are_missing_and_named() -> None:
    cells: list[Any] = [str(k) for k in range(N)]
    cells[6], cells[20] = "?", "n.a."
    found = column(cells)
    assert found.kind == "number"
    assert found.values.isna().tolist() == [k in (6, 20) for k in range(N)]
    assert found.stray_words() == "x: '?' in row 7, 'n.a.' in row 21: no number, counted as missing"


def test_many_words_make_a_column_of_words() -> None:
    cells = [str(k) if k % 2 else "low" for k in range(N)]
    assert column(cells).kind == "category"


def test_truth_is_a_number_with_holes_and_with_strays() -> None:
    cells: list[Any] = [k % 2 == 0 for k in range(N)]
    cells[3] = None
    found = column(cells)
    assert (found.kind, found.truth) == ("number", ("False", "True"))
    assert found.missing.sum() == 1
    spoken = column(["yes", "no", "?", *["yes"] * 9])
    assert (spoken.kind, spoken.truth) == ("number", ("no", "yes"))
    assert spoken.values.tolist()[:2] == [1.0, 0.0]
    assert "'?' in row 3" in spoken.stray_words()


@pytest.mark.parametrize(
    ("cells", "first"),
    [
        (["$1,200", "$5", "$13,000.50"] * 5, 1200.0),
        (["81.2%", "3%", "-4.5%"] * 5, 81.2),
        (["1,200", "7", "5,000,000"] * 5, 1200.0),
        (["€7", "€1,000", "-€3"] * 5, 7.0),
    ],
)
def test_money_and_percent_are_numbers_and_said(cells: list[str], first: float) -> None:
    found = column(cells)
    assert found.kind == "number"
    assert found.values[0] == first
    assert not found.missing.any()
    assert repr(cells[0]) in found.how


@pytest.mark.parametrize(
    "cells", [["2020-01-31", "2021-12-01"] * 9, ["1/31/2020", "12/1/2021"] * 9, ["31.1.2020", "1.12.2021"] * 9]
)
def test_dates_are_seconds(cells: list[str]) -> None:
    found = column(cells)
    assert found.kind == "date"
    expected = [pd.Timestamp("2020-01-31").timestamp(), pd.Timestamp("2021-12-01").timestamp()]
    assert found.values.tolist()[:2] == expected


def test_postal_codes_and_asked_codes_stay_words() -> None:
    assert column(["01001", "02139", "90210"] * 9).kind == "category"
    asked = column([1.0, 2.0, np.nan, 3.0], "category")
    assert asked.values.tolist()[:2] == ["1", "2"]
    assert asked.values[2] is None


def test_small_units_and_large_offsets_keep_their_digits() -> None:
    small = column([1e-13 * k for k in range(N)])
    assert small.values[7] == 7e-13
    large = column([1.7e12 + k for k in range(N)])
    assert large.values[7] - large.values[0] == 7


def test_categories_of_pandas_are_what_they_hold() -> None:
    assert understand("x", pd.Series([1, 2, 1]).astype("category")).kind == "number"
    assert understand("x", pd.Series(["a", "b", None]).astype("category")).kind == "category"


def test_lists_in_cells_are_text() -> None:
    assert column([np.array([1, 2]), np.array([3]), np.array([1, 2])] * 9).kind == "category"


def test_spans_of_time_are_read_as_seconds() -> None:
    column = understand("t", pd.Series(pd.to_timedelta([1, 90], unit="s")))
    assert (column.kind, column.values.tolist(), column.how) == ("number", [1.0, 90.0], "read as seconds")


@pytest.mark.parametrize("kind", ["timestamp[s]", "timestamp[ns]", "timestamp[us, tz=UTC]", "date32", "date64"])
def test_dates_of_arrow_are_dates(kind: str) -> None:
    pa = pytest.importorskip("pyarrow")
    types = {"date32": pa.date32(), "date64": pa.date64(), "timestamp[us, tz=UTC]": pa.timestamp("us", tz="UTC")}
    made = types.get(kind) or pa.timestamp(kind[10:12].strip("]"))
    cells = pd.Series(
        pd.arrays.ArrowExtensionArray(pa.array([0, None, 86400 * 365], pa.int64()).cast(pa.timestamp("s")).cast(made))
    )
    read = understand("day", cells)
    assert read.kind == "date"
    assert read.values.tolist()[::2] == [0.0, 86400.0 * 365]
    assert read.missing.tolist() == [False, True, False]
