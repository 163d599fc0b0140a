"""Export: tensors or ONNX, the preparation as JSON, and a model card; all of it works without the run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import scalarize
from scalarize.utils.errors import RequestError

TRAIN = ("--csv", "mine.csv", "--targets", "bought,grade,visits,spent", "--epochs", 2)


@pytest.fixture
def frame(tmp_path: Path) -> pd.DataFrame:
    """A table of 300 rows, written to ``mine.csv``."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 2))
    found = pd.DataFrame({"x1": x[:, 0], "x2": x[:, 1], "city": rng.choice(["Oslo", "Rome", None], 300)})
    found["bought"] = np.where(x[:, 0] > 0, "yes", "no")
    found["grade"] = np.digitize(x[:, 1], [-0.5, 0.5])
    found["visits"] = rng.poisson(np.exp(1 + x[:, 0] / 2))
    found["spent"] = 1.7e9 + np.exp(x[:, 1])
    found.to_csv(tmp_path / "mine.csv", index=False)
    return found


@pytest.fixture
def retrained(command: Any, frame: pd.DataFrame) -> str:
    """Two seeds, retrained with the policy of a search."""
    kinds = ("--types", "grade=ordinal,visits=count,spent=log")
    assert command("search", *TRAIN, *kinds, "--population", 2, "--ready", 1, "--out", "s").status == 0
    return str(command("retrain", "s", "--seeds", 2, "--json").json["out"])


@pytest.mark.parametrize("kind", ["safetensors", "torch"])
def test_an_export_predicts_as_its_runs_do(kind: str, command: Any, retrained: str, frame: pd.DataFrame) -> None:
    if kind == "safetensors":
        pytest.importorskip("safetensors")
    before = scalarize.load(retrained).predict(frame, probabilities=True)
    answer = command("export", retrained, "--format", kind, "--out", "e", "--json")
    assert answer.status == 0, answer.err
    assert sorted(answer.json["files"]) == sorted(p.name for p in Path("e").iterdir())
    shutil.rmtree("s")
    Path("mine.csv").unlink()
    model = scalarize.load("e")
    pd.testing.assert_frame_equal(model.predict(frame, probabilities=True), before)
    frame.to_csv("new.csv", index=False)
    assert command("predict", "e", "--csv", "new.csv", "--out", "p.csv").status == 0
    assert command("export", "e", "--format", "torch", "--out", "again").status == 0  # from one format to another
    pd.testing.assert_frame_equal(scalarize.load("again").predict(frame, probabilities=True), before)
    first, second = (json.loads((Path(name) / "model.json").read_text()) for name in ("e", "again"))
    assert first["facts"] == second["facts"]


def test_the_card_says_what_it_is(command: Any, retrained: str, frame: pd.DataFrame) -> None:
    assert command("export", "s", "--format", "torch", "--out", "e").status == 0
    card = Path("e/README.md").read_text()
    result = json.loads((Path(retrained) / "result.json").read_text())
    facts = json.loads(Path("e/model.json").read_text())["facts"]
    assert facts["table"]["sha256"] in card
    assert "300 rows, 7 columns" in card
    for target, cell in result["rows"][0]["tasks"].items():
        metric = next(iter(facts["metrics"][target].values()))
        assert metric["mean"] == pytest.approx(cell["mean"])
        assert metric["low"] == pytest.approx(cell["low"])
        assert f"{cell['mean']:.4g}" in card
        assert f"{cell['low']:.4g} to {cell['high']:.4g}" in card
    assert "over 2 seeds" in card
    assert "    scalarize search --csv mine.csv" in card
    assert "    scalarize retrain s --seeds 2" in card
    assert "`visits`: count" in card
    assert sum(facts["weights"].values()) == pytest.approx(1, abs=0.01)


def test_onnx_gives_what_predict_gives(command: Any, retrained: str, frame: pd.DataFrame) -> None:
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    assert command("export", retrained, "--format", "onnx", "--out", "e").status == 0
    model = scalarize.load(retrained)
    expected = model.predict(frame, probabilities=True)
    session = runtime.InferenceSession("e/model.onnx")
    assert [i.name for i in session.get_inputs()] == ["inputs"]
    for rows in (frame, frame.head(1)):
        outputs = session.run(None, {"inputs": model.table.inputs(rows).numpy()})
        found = dict(zip([o.name for o in session.get_outputs()], outputs, strict=True))
        assert np.allclose(found["bought"], expected[["bought: no", "bought: yes"]].head(len(rows)), atol=1e-5)
        assert np.allclose(found["grade"], expected[["grade: 0", "grade: 1", "grade: 2"]].head(len(rows)), atol=1e-5)
        targets = {t["name"]: t for t in json.loads(Path("e/preparation.json").read_text())["targets"]}
        spent, visits = targets["spent"], targets["visits"]
        undone = np.expm1(found["spent"][:, 0].astype(float) * spent["scale"] + spent["centre"])
        assert np.allclose(undone, expected["spent"].head(len(rows)), rtol=1e-6)
        assert np.allclose(found["visits"][:, 0] * visits["scale"], expected["visits"].head(len(rows)), rtol=1e-4)
    with pytest.raises(RequestError, match="holds ONNX"):
        scalarize.load("e")


def test_wrong_exports_are_one_line(command: Any, frame: pd.DataFrame) -> None:
    assert command("train", *TRAIN, "--out", "r").status == 0
    Path("full").mkdir()
    (Path("full") / "notes.txt").write_text("mine")
    for words, expected in {
        ("r", "--format", "onx", "--out", "e"): "unknown format 'onx': did you mean 'onnx'?",
        ("r", "--format", "torch", "--out", "full"): "full: holds files already; choose another --out",
        ("none", "--format", "torch", "--out", "e"): "none: no such directory",
    }.items():
        answer = command("export", *words)
        assert (answer.status, len(answer.err.strip().splitlines())) == (2, 1)
        assert expected in answer.err
    assert not Path("e").exists()
    assert [p.name for p in Path("full").iterdir()] == ["notes.txt"]


def test_a_package_that_is_absent_is_named(command: Any, frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    from scalarize.utils import optional

    assert command("train", *TRAIN, "--out", "r").status == 0
    monkeypatch.setattr(optional, "_installed", lambda name: name != "onnxscript")
    answer = command("export", "r", "--format", "onnx", "--out", "e")
    assert answer.status == 2
    assert "ONNX needs onnxscript: pip install 'scalarize[export]'" in answer.err


@pytest.mark.parametrize("damage", ["members", "kind", "settings", "tensors", "preparation", "no json"])
def test_damaged_exports_are_named(damage: str, command: Any, frame: pd.DataFrame) -> None:
    assert command("train", *TRAIN, "--out", "r").status == 0
    assert command("export", "r", "--format", "torch", "--out", "e").status == 0
    place = Path("e/model.json")
    content = json.loads(place.read_text())
    if damage == "members":
        content["members"] = 10**9
    elif damage == "kind":
        content["kind"] = "pickle"
    elif damage == "settings":
        content["settings"]["width"] = 10**7  # of a model that would fill the memory
    elif damage == "tensors":
        Path("e/model.pt").write_bytes(b"none")
    elif damage == "preparation":
        Path("e/preparation.json").write_text('{"format": "scalarize-table/1"}')
    place.write_text("{" if damage == "no json" else json.dumps(content))
    answer = command("predict", "e", "--csv", "mine.csv", "--out", "p.csv")
    assert answer.status == 2
    assert answer.err.startswith("scalarize: ")
    assert len(answer.err.strip().splitlines()) == 1
