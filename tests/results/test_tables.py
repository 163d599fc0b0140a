"""results/tables.md: scores, splits and sentences from known numbers; nothing is fetched or trained."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

RESULTS = Path(__file__).resolve().parents[2] / "results"
if str(RESULTS) not in sys.path:
    sys.path.append(str(RESULTS))  # last: no script there may hide a package


def test_scores_are_r2_with_a_floor_or_accuracy(benchmark: ModuleType) -> None:
    truth = pd.Series(np.arange(30) / 2)
    assert benchmark.score(truth, truth + 0.0, True) == 1.0
    assert benchmark.score(truth, pd.Series(np.full(30, truth.mean())), True) == pytest.approx(0.0)
    assert benchmark.score(truth, truth + 1e9, True) == -1.0
    assert benchmark.score(pd.Series(["a", "b", "b"]), pd.Series(["a", "b", "a"]), False) == pytest.approx(2 / 3)
    assert benchmark.score(pd.Series([0, 1, 1, 2]), pd.Series([0.0, 1.0, 1.0, 1.0]), False) == 0.75
    assert benchmark.score(pd.Series([1.0, None, 2.0]), pd.Series(["1", "7", "2"]), False) == 1.0
    assert benchmark.score(pd.Series([1.5, None, 2.5]), pd.Series([1.5, 7.0, 2.5]), True) == 1.0


def test_whole_numbers_are_classes_up_to_twenty(benchmark: ModuleType) -> None:
    columns = [range(20), range(21), ["a", "b"], [0.5, 1.5, 2.0], [0.5, 1.5], [1, None]]
    assert [benchmark.is_number(pd.Series(c)) for c in columns] == [False, True, False, True, False, False]


def test_rows_are_split_once_and_reproducibly(benchmark: ModuleType) -> None:
    frame = pd.DataFrame({"row": range(101)})
    train, new = benchmark.halves(frame, 0)
    assert (len(train), len(new)) == (81, 20)
    assert sorted([*train["row"], *new["row"]]) == list(range(101))
    assert train.equals(benchmark.halves(frame, 0)[0])
    assert not train.equals(benchmark.halves(frame, 1)[0])


def test_rivals_predict_new_words_missing_cells_and_dates(benchmark: ModuleType) -> None:
    draw = np.random.default_rng(0)
    x, word = draw.normal(size=200), draw.choice(["a", "b"], size=200)
    frame = pd.DataFrame({"x": x, "word": word, "date": pd.date_range("2020-01-01", periods=200).astype(str)})
    frame["y"], frame["c"] = x + (word == "a"), np.where(x > 0, "up", "down")
    frame.loc[3, "x"], frame.loc[150, "word"], frame.loc[5, "y"] = None, "unseen", None
    found = benchmark.predictions(frame[:150], frame[150:], ["y", "c"])
    assert list(found) == ["boosting", "linear", "constant"]
    assert benchmark.score(frame["y"][150:], found["linear"]["y"], True) > 0.9
    assert benchmark.score(frame["c"][150:], found["boosting"]["c"], False) > 0.9
    assert set(found["constant"]["c"]) <= {"up", "down"}


def measured(folder: Path, gap: float) -> None:
    scores = {
        row: {"water": value, "fat": value, "protein": value}
        for row, value in {"shared": 0.8 + gap, "boosting": 0.5, "linear": 0.8, "constant": 0.0}.items()
    }
    common = {"seconds": 9.6, "wall": 20.0, "rows": 215, "columns": 103, "digest": "abc"}
    (folder / "run").mkdir(parents=True)
    (folder / "run/meats-0.json").write_text(json.dumps({"scores": scores, **common}))


@pytest.mark.parametrize(("gap", "verdict"), [(0.01, "is met"), (-0.004, "is met"), (-0.1, "is missed")])
def test_the_page_says_if_the_target_is_met(benchmark: ModuleType, tmp_path: Path, gap: float, verdict: str) -> None:
    measured(tmp_path, gap)
    text = benchmark.tables_page.page(tmp_path)
    assert verdict in text
    assert f"difference {gap:+.4f}" in text
    assert "| meats | 3 | 1 | 0.000 | 0.500 | 0.800 | 0.800 |" in text
    assert ("| meats | fat |" in text) == (gap < -0.02)
    assert text.count("Not measured yet.") == 3
    assert "{" not in text


def test_the_gain_of_sharing_has_an_interval_over_tables(benchmark: ModuleType, tmp_path: Path) -> None:
    measured(tmp_path, 0.0)
    (tmp_path / "missing").mkdir()
    for name, gain in (("meats", 0.1), ("mroz", 0.2), ("ames", 0.3)):
        content = {"target": {"shared": 0.5 + gain, "single": 0.5}}
        (tmp_path / "missing" / f"{name}-0.json").write_text(json.dumps(content))
    text = benchmark.tables_page.page(tmp_path)
    assert "Gain of the shared model: +0.2000 (-0.0484 to +0.4484), mean and 95 % t-interval over 3 tables." in text


def test_memory_and_time_stand_beside_what_was_wanted(benchmark: ModuleType, tmp_path: Path) -> None:
    measured(tmp_path, 0.0)
    content = {
        "file": 7e8,
        "pandas": {"seconds": 20.0, "peak": 9e8, "size": 8e8},
        "scalarize": {"seconds": 30.0, "peak": 16e8, "size": 4e8},
    }
    (tmp_path / "large.json").write_text(json.dumps(content))
    text = benchmark.tables_page.page(tmp_path)
    assert "Time against pandas alone: 1.50 (wanted: at most 2.0). Memory: 2.00 x the data frame" in text
