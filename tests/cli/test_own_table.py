"""A user's own CSV: inferred, said, and refused by column."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest


@pytest.fixture
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 3))
    return pd.DataFrame(
        {
            "x1": x[:, 0],
            "x2": x[:, 1],
            "note": ["text"] * 300,
            "bought": np.where(x[:, 0] > 0, "yes", "no"),
            "grade": np.digitize(x[:, 1], [-0.5, 0.5]),
            "spent": 3 * x[:, 0] + x[:, 1],
        }
    )


def write(frame: pd.DataFrame, path: Path) -> str:
    frame.to_csv(path, index=False)
    return str(path)


def test_kinds_are_inferred_said_and_learned(command: Any, frame: pd.DataFrame, tmp_path: Path) -> None:
    file = write(frame, tmp_path / "mine.csv")
    answer = command("train", "--csv", file, "--targets", "bought,grade,spent", "--out", "r", "--json")
    assert answer.status == 0
    for said in (
        "mine.csv: 300 rows, split at random, stratified",
        "target bought: binary (no, yes), ",
        "judged by auroc (0.5 is chance), beside it accuracy",
        "target grade: classes (3), ",
        "target spent: regression, ",
        "beside it r2, mae, rmse",
        "inputs: x1, x2\n",
        "left out: note (constant ('text'))",
    ):
        assert said in answer.err
    test = answer.json["test"]
    assert test["bought"] > 0.9
    assert test["grade"] > 0.8
    assert test["spent"] > 0.9


def test_search_and_compare_take_a_table(command: Any, frame: pd.DataFrame, tmp_path: Path) -> None:
    file = write(frame, tmp_path / "mine.csv")
    own = ("--csv", file, "--targets", "bought,spent", "--epochs", 2)
    found = command("search", *own, "--population", 3, "--ready", 1, "--out", "s", "--json")
    assert found.status == 0
    table = command("compare", *own, "--methods", "uniform,policy", "--policy", "s/policy.json", "--seeds", 1, "--json")
    assert [r["method"] for r in table.json["rows"]] == ["uniform", "policy", "constant", "linear", "boosting"]
    assert table.json["lead"].startswith(("A simple model is ahead", "Simple models are behind"))
    assert table.json["metrics"] == {"bought": "auroc", "spent": "rank-agreement"}
    without = command("compare", *own, "--methods", "uniform", "--no-baselines", "--seeds", 1, "--json")
    assert [r["method"] for r in without.json["rows"]] == ["uniform"]


def broken(frame: pd.DataFrame, what: str) -> pd.DataFrame:
    if what == "constant target":
        return frame.assign(spent=1.0)
    if what == "infinite target":
        return frame.assign(spent=frame.spent.where(frame.index > 3, np.inf))
    if what == "no input":
        return frame.drop(columns=["x1", "x2", "bought", "grade"])
    if what == "infinite input":
        return frame.assign(x1=np.where(frame.index == 5, np.inf, frame.x1))[["x1", "spent"]]
    if what == "too few rows":
        return frame.head(20)
    return frame.assign(spent=[f"word {i}" for i in range(len(frame))])


REFUSED = {
    "constant target": "'spent' is constant",
    "infinite target": "'spent' holds infinite",
    "no input": "no column is left as input: note: constant ('text')",
    "infinite input": "no column is left as input: x1: infinite in row 6",
    "too few rows": "20 rows",
    "text target": "'spent' is text with 300",
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_used_is_refused_by_name(what: str, command: Any, frame: pd.DataFrame, tmp_path: Path) -> None:
    file = write(broken(frame, what), tmp_path / "mine.csv")
    answer = command("train", "--csv", file, "--targets", "spent")
    assert answer.status == 2
    assert REFUSED[what] in answer.err
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--csv", "none.csv", "--targets", "a"), "none.csv: no such file"),
        (("--csv", "mine.csv"), "needs --targets"),
        (("--csv", "mine.csv", "--targets", "spnt"), "did you mean 'spent'"),
        (("rand-hie", "--targets", "spent"), "--csv"),
        (("rand-hie", "--csv", "mine.csv", "--targets", "spent"), "name a workload"),
    ],
)
def test_wrong_calls(words: tuple[str, ...], expected: str, command: Any, frame: pd.DataFrame, tmp_path: Path) -> None:
    write(frame, tmp_path / "mine.csv")
    answer = command("train", *words)
    assert answer.status == 2
    assert expected in answer.err


def test_a_file_that_is_no_table_is_refused(command: Any, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"\xff\xfe\x00\x00")
    assert command("train", "--csv", "x.csv", "--targets", "a").status == 2
