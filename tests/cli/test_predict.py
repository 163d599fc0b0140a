"""From a table to predictions: trainings, searches and retrains, in the targets' own terms."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import scalarize
from scalarize.utils.errors import RequestError

TARGETS = ("bought", "grade", "spent")
TRAIN = ("--csv", "mine.csv", "--targets", ",".join(TARGETS), "--epochs", 3)


@pytest.fixture
def frame(tmp_path: Path) -> pd.DataFrame:
    """A table of 300 rows, written to ``mine.csv``."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 2))
    found = pd.DataFrame({"x1": x[:, 0], "x2": x[:, 1], "city": rng.choice(["Oslo", "Rome", "Lima"], 300)})
    found["bought"] = np.where(x[:, 0] > 0, "yes", "no")
    found["grade"] = np.where(x[:, 1] > 0.5, "high", np.where(x[:, 1] < -0.5, "low", "middling"))
    found["spent"] = 2e5 + 1e4 * (3 * x[:, 0] + x[:, 1])
    found.to_csv(tmp_path / "mine.csv", index=False)
    return found


@pytest.fixture
def run(command: Any, frame: pd.DataFrame, tmp_path: Path) -> Path:
    """A training on it."""
    assert command("train", *TRAIN, "--out", "r").status == 0
    return tmp_path / "r"


def test_predictions_are_in_the_targets_own_terms(command: Any, run: Path, frame: pd.DataFrame, tmp_path: Path) -> None:
    answer = command("predict", "r", "--csv", "mine.csv", "--out", "p.csv", "--json")
    assert answer.json == {"out": "p.csv", "rows": 300, "columns": list(TARGETS), "models": 1, "notes": []}
    found = pd.read_csv(tmp_path / "p.csv")
    assert list(found.columns) == list(TARGETS)
    assert not found.isna().any().any()
    assert set(found["bought"]) <= {"no", "yes"}
    assert set(found["grade"]) <= {"low", "middling", "high"}
    assert (found["bought"] == frame["bought"]).mean() > 0.85
    assert np.corrcoef(found["spent"], frame["spent"])[0, 1] > 0.9
    assert 1.5e5 < found["spent"].mean() < 2.5e5


def test_rows_come_back_one_by_one_whatever_else_the_file_holds(command: Any, run: Path, frame: pd.DataFrame) -> None:
    rows = frame.sample(frac=1, random_state=1).assign(more="words", x2=lambda f: f.x2.where(f.index % 7 > 0))
    rows.loc[3, "city"] = "Quito"  # never seen
    rows = rows[["more", "city", "x2", "x1"]]  # another order, no targets
    rows.to_csv("new.csv", index=False)
    assert command("predict", "r", "--csv", "new.csv", "--out", "p.csv").status == 0
    found = pd.read_csv("p.csv")
    assert len(found) == 300
    assert not found.isna().any().any()
    model = scalarize.load(run)
    expected = model.predict(rows)
    assert list(expected.index) == list(rows.index)
    assert found["bought"].tolist() == expected["bought"].tolist()
    assert np.allclose(found["spent"], expected["spent"])
    one_by_one = pd.concat([model.predict(rows.iloc[[k]]) for k in range(20)])
    assert one_by_one["grade"].tolist() == expected["grade"].head(20).tolist()
    assert np.allclose(one_by_one["spent"], expected["spent"].head(20), rtol=1e-5)


def test_probabilities_are_of_every_class_and_sum_to_one(command: Any, run: Path) -> None:
    assert command("predict", "r", "--csv", "mine.csv", "--out", "p.csv.gz", "--probabilities").status == 0
    assert Path("p.csv.gz").read_bytes().startswith(b"\x1f\x8b")
    found = pd.read_csv("p.csv.gz")
    for target, classes in {"bought": ["no", "yes"], "grade": ["high", "low", "middling"]}.items():
        own = found[[f"{target}: {c}" for c in classes]]
        assert np.allclose(own.sum(axis=1), 1)
        assert found[target].tolist() == [classes[k] for k in own.to_numpy().argmax(axis=1)]


def test_a_model_works_without_its_table(command: Any, run: Path, frame: pd.DataFrame) -> None:
    before = scalarize.load(run).predict(frame)
    Path("mine.csv").unlink()
    assert scalarize.load(str(run)).predict(frame).equals(before)
    frame.drop(columns=list(TARGETS)).to_csv("new.csv", index=False)
    assert command("predict", "r", "--csv", "new.csv", "--out", "p.csv").status == 0


def test_a_file_without_rows_gives_one_without_rows(command: Any, run: Path, frame: pd.DataFrame) -> None:
    frame.head(0).to_csv("new.csv", index=False)
    assert command("predict", "r", "--csv", "new.csv", "--out", "p.csv").status == 0
    assert Path("p.csv").read_text() == "bought,grade,spent\n"


def test_words_among_numbers_are_missing_and_said(command: Any, run: Path, frame: pd.DataFrame) -> None:
    frame["x1"].astype(object).where(frame.index != 6, "unknown").to_frame().join(frame[["x2", "city"]]).to_csv(
        "new.csv"
    )
    answer = command("predict", "r", "--csv", "new.csv", "--out", "p.csv", "--json")
    assert answer.json["notes"] == ["x1: 'unknown' in row 7: no number, counted as missing"]
    expected = scalarize.load(run).predict(frame.assign(x1=frame.x1.where(frame.index != 6)))
    assert np.allclose(pd.read_csv("p.csv")["spent"], expected["spent"])


def test_a_search_predicts_with_its_newest_full_retrain(command: Any, frame: pd.DataFrame) -> None:
    words = ("--population", 3, "--ready", 2, "--seed", 1, "--out", "s")
    assert command("search", *TRAIN, *words).status == 0
    answer = command("predict", "s", "--csv", "mine.csv", "--out", "p.csv")
    assert answer.status == 2
    assert answer.err.strip().endswith("scalarize retrain s")
    assert command("retrain", "s", "--history", "last").status == 0
    assert command("predict", "s", "--csv", "mine.csv", "--out", "p.csv").status == 2  # not the full one
    first = command("retrain", "s", "--json").json["out"]
    second = command("retrain", "s", "--seeds", 2, "--json").json
    for k, name in enumerate((second["out"], first)):  # what is new says the file, not its name
        os.utime(Path(name) / "result.json", (1e9 + k, 1e9 + k))
    assert command("predict", "s", "--csv", "mine.csv", "--out", "one.csv", "--json").json["models"] == 1
    os.utime(Path(second["out"]) / "result.json", (2e9, 2e9))
    assert (
        command("predict", "s", "--csv", "mine.csv", "--out", "two.csv", "--probabilities", "--json").json["models"]
        == 2
    )
    both = scalarize.load("s").predict(frame, probabilities=True)
    single = [scalarize.load(Path(second["out"]) / name).predict(frame, probabilities=True) for name in second["runs"]]
    for column in ("spent", "bought: yes", "grade: low"):  # means, and not of the logits
        assert np.allclose(both[column], (single[0][column] + single[1][column]) / 2, rtol=1e-4)
    assert not np.allclose(single[0]["bought: yes"], single[1]["bought: yes"], rtol=1e-3)
    assert np.allclose(pd.read_csv("two.csv")["spent"], both["spent"])


def test_a_part_of_the_targets(command: Any, frame: pd.DataFrame) -> None:
    assert command("train", *TRAIN, "--single", "spent", "--out", "one").status == 0
    assert command("train", *TRAIN, "--tasks", "spent,bought", "--out", "two").status == 0
    assert scalarize.load("one").targets == ["spent"]
    assert list(scalarize.load("two").predict(frame).columns) == ["bought", "spent"]


BROKEN = {
    "no such run": (("nowhere",), "nowhere: no such directory"),
    "out exists": (("r", "--out", "mine.csv"), "mine.csv: exists already; choose another --out"),
    "out is no csv": (("r", "--out", "p.parquet"), "name a file that ends with .csv"),
    "no such rows": (("r", "--csv", "new.csv"), "new.csv: no such file"),
    "column missing": (("r", "--csv", "short.csv"), "input column 'x2': not in the table"),
    "wrong kind": (("r", "--csv", "words.csv"), "column 'x1': 'many' in row 1"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_cannot_be_predicted_is_one_line(what: str, command: Any, run: Path, frame: pd.DataFrame) -> None:
    frame.drop(columns="x2").to_csv("short.csv", index=False)
    frame.assign(x1="many").to_csv("words.csv", index=False)
    before = sorted(Path().iterdir())
    words, expected = BROKEN[what]
    answer = command("predict", *("--csv", "mine.csv", "--out", "p.csv"), *words)
    assert answer.status == 2
    assert expected in answer.err
    assert len(answer.err.strip().splitlines()) == 1
    assert sorted(Path().iterdir()) == before


def test_what_is_no_training_of_a_table_is_named(command: Any, run: Path, frame: pd.DataFrame) -> None:
    assert command("compare", *TRAIN, "--methods", "uniform", "--seeds", 1, "--out", "c").status == 0
    with pytest.raises(RequestError, match="holds a comparison: name one of its runs, such as c/runs/uniform-seed0"):
        scalarize.load("c")
    assert scalarize.load("c/runs/uniform-seed0").targets == list(TARGETS)
    (run / "table.json").rename(run / "elsewhere.json")
    with pytest.raises(RequestError, match="earlier version; train again"):
        scalarize.load(run)
    (run / "result.json").unlink()
    with pytest.raises(RequestError, match="is the run finished"):
        scalarize.load(run)
    assert command("train", "rand-hie", "--epochs", 1, "--set", "batch_size=2048", "--out", "w").status == 0
    with pytest.raises(RequestError, match="a training on rand-hie: rows can be predicted"):
        scalarize.load("w")


def test_a_table_that_was_changed_is_refused_by_name(command: Any, run: Path, frame: pd.DataFrame) -> None:
    frame.to_csv("new.csv", index=False)
    frame.assign(x1=frame.x1 + 1).to_csv("mine.csv", index=False)
    answer = command("predict", "r", "--csv", "new.csv", "--out", "p.csv")
    assert answer.status == 2
    assert "mine.csv has changed" in answer.err


class Trap:
    """Pickles that touch a file when they are read."""

    def __reduce__(self) -> Any:
        return Path.touch, (Path("sprung"),)


def test_no_code_is_run_from_a_run(run: Path, frame: pd.DataFrame) -> None:
    (run / "manifest.json").unlink()  # which would refuse the file before it is read
    torch.save({"encoder.0.weight": Trap()}, run / "checkpoints" / "final.pt")
    with pytest.raises(RequestError, match=r"final\.pt: cannot be read as a checkpoint"):
        scalarize.load(run)
    assert not Path("sprung").exists()


@pytest.mark.parametrize("damage", ["checkpoint", "settings", "table"])
def test_damaged_files_are_named(damage: str, run: Path, frame: pd.DataFrame) -> None:
    if damage == "checkpoint":
        (run / "checkpoints" / "final.pt").write_bytes(b"no checkpoint")
    elif damage == "settings":
        text = (run / "config.yaml").read_text()
        (run / "config.yaml").write_text(text.replace("  model:", "  modul:"))
    else:
        content = json.loads((run / "table.json").read_text())
        content["inputs"][0]["kind"] = "unheard of"
        (run / "table.json").write_text(json.dumps(content))
    named = {"checkpoint": "final.pt", "settings": "config.yaml", "table": "table.json"}[damage]
    with pytest.raises(RequestError, match=named):
        scalarize.load(run)
