"""``front``: one model for all preferences, from its training to an ordinary model of one of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import scalarize
from scalarize.analysis import measured_front
from scalarize.report.figures import fronts
from scalarize.utils.errors import RequestError

TRAIN = ("train", "--csv", "mine.csv", "--targets", "a,b", "--epochs", 3, "--set", "batch_size=64")


@pytest.fixture
def frame(tmp_path: Path) -> pd.DataFrame:
    """Two targets that one narrow representation cannot both serve."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 2))
    found = pd.DataFrame({"x1": x[:, 0], "x2": x[:, 1]})
    found["a"] = x[:, 0] + 0.1 * rng.normal(size=400)
    found["b"] = np.where(x[:, 1] + 0.5 * rng.normal(size=400) > 0, "yes", "no")
    found.to_csv(tmp_path / "mine.csv", index=False)
    return found


@pytest.mark.parametrize("name", ["palora", "phn"])
def test_from_a_table_to_a_model_of_one_preference(name: str, command: Any, frame: pd.DataFrame) -> None:
    small = ("--set", f"model.front={name}", "--set", "model.width=8", "--set", "model.members=2")
    assert command(*TRAIN, *small, "--out", "r").status == 0
    answer = command("front", "r", "--points", 3, "--preference", "a=3,b=1", "--out", "m", "--json")
    assert answer.status == 0, answer.err
    content = json.loads(Path("r/front.json").read_text())
    assert content == {k: v for k, v in answer.json.items() if k not in ("out", "preference")}
    assert [p["preference"] for p in content["points"]] == [
        {"a": 1.0, "b": 0.0},
        {"a": 0.5, "b": 0.5},
        {"a": 0.0, "b": 1.0},
    ]
    assert answer.json["preference"] == {"a": 0.75, "b": 0.25}
    assert content["points"][0]["validation"] != content["points"][2]["validation"]
    assert any(p["nondominated"] for p in content["points"])
    assert Path("r/front.png").read_bytes().startswith(b"\x89PNG")
    for place in ("r", "m"):
        assert command("verify", place).status == 0
    assert command("report", "r", "--out", "r.html").status == 0
    assert "The front of a and b" in Path("r.html").read_text()
    # The middle is the preference at which the training measured.
    result = json.loads(Path("r/result.json").read_text())
    middle = content["points"][1]["test"]
    assert middle == pytest.approx({k: result["test"][k] for k in "ab"})
    # What was exported is an ordinary model, and measures as its point does.
    made = scalarize.load("m").predict(frame)
    assert list(made.columns) == ["a", "b"]
    assert command("predict", "m", "--csv", "mine.csv", "--out", "p.csv").status == 0
    assert command("export", "m", "--format", "torch", "--out", "e").status == 0
    pd.testing.assert_frame_equal(scalarize.load("e").predict(frame), made)
    sizes = {k: v.shape for k, v in torch.load("m/checkpoints/selected.pt", weights_only=True).items()}
    assert command(*TRAIN, *small[2:], "--out", "o").status == 0
    assert sizes == {k: v.shape for k, v in torch.load("o/checkpoints/selected.pt", weights_only=True).items()}
    # Neither command nor library takes the whole for a model of one preference, or the other way round.
    for words in (
        ("predict", "r", "--csv", "mine.csv", "--out", "q.csv"),
        ("export", "r", "--format", "torch", "--out", "f"),
    ):
        answer = command(*words)
        assert answer.status == 2
        assert "--preference" in answer.err
    answer = command("front", "o")
    assert answer.status == 2
    assert "one preference" in answer.err


def test_equal_seeds_make_equal_fronts_and_a_training_goes_on(command: Any, frame: pd.DataFrame) -> None:
    own = ("--set", "model.front=palora", "--set", "model.width=8", "--no-refit")
    assert command(*TRAIN, *own, "--out", "one").status == 0
    assert command(*TRAIN, *own, "--out", "two").status == 0
    first, second = (Path(name, "records.jsonl").read_bytes() for name in ("one", "two"))
    assert first == second
    assert command("front", "one", "--points", 2).status == 0
    assert command("front", "one", "--points", 4, "--json").json["points"]  # replaces what it wrote
    assert command(*TRAIN, *own, "--out", "one", "--resume").status == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--preference", "a=1,b=1"), "needs both --preference and --out"),
        (("--out", "m"), "needs both --preference and --out"),
        (("--preference", "a=1,c=1", "--out", "m"), "unknown task 'c'"),
        (("--preference", "a=-1,b=1", "--out", "m"), ">= 0"),
        (("--preference", "a=0,b=0", "--out", "m"), "not all 0"),
        (("--preference", "a=1", "--out", "m"), "'b' is not named"),
        (("--points", "0"), "--points must be at least 1"),
        (("--points", "10001"), "--points must be at most"),
        (("--preference", "a=1,b=1", "--out", "RUN"), "config.yaml of a run; choose another --out"),
    ],
)
def test_bad_requests_are_one_line(words: tuple[str, ...], says: str, command: Any, run: Path) -> None:
    before = sorted(p.as_posix() for p in run.rglob("*"))
    answer = command("front", run, *(run if word == "RUN" else word for word in words))
    assert answer.status == 2
    assert says in answer.err
    assert "point 1/" not in answer.err  # nothing was measured for it
    assert len(answer.err.strip().splitlines()) <= 12
    assert sorted(p.as_posix() for p in run.rglob("*")) == before
    assert not Path("m").exists()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished training with a front, made once."""
    from scalarize.runs.request import TrainRequest
    from scalarize.runs.train import train

    place = tmp_path_factory.mktemp("front")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 2))
    pd.DataFrame({"x": x[:, 0], "a": x[:, 0] + x[:, 1], "b": x[:, 1]}).to_csv(place / "mine.csv", index=False)
    own = {"model.front": "palora", "model.width": 8, "model.members": 2}
    request = TrainRequest(
        csv=str(place / "mine.csv"), targets=("a", "b"), epochs=1, settings=own, method="uniform", refit=False
    )
    train(request, place / "run", "")
    return place / "run"


@pytest.fixture
def run(trained: Path) -> Path:
    return trained


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--method", "mgda"), "mgda does not take"),
        (("--method", "pbi", "--hyper", "preference=a=1,b=2"), "leave out preference"),
        (("--weights", "a=1,b=2"), "leave out --weights"),
        (("--single", "a"), "leave out --single"),
        (("--tasks", "a"), "two tasks"),
    ],
)
def test_trainings_that_cannot_have_a_front(words: tuple[str, ...], says: str, command: Any, frame: Any) -> None:
    answer = command(*TRAIN, "--set", "model.front=phn", *words, "--out", "r")
    assert answer.status == 2
    assert says in answer.err
    assert not Path("r").exists()


@pytest.mark.parametrize("words", [("compare", "--methods", "uniform"), ("search", "--population", 2)])
def test_other_commands_refuse_a_front(words: tuple[Any, ...], command: Any, frame: Any) -> None:
    answer = command(words[0], *TRAIN[1:], *words[1:], "--set", "model.front=phn", "--out", "r")
    assert answer.status == 2
    assert "scalarize train" in answer.err
    assert not Path("r").exists()


@pytest.mark.parametrize(
    "change",
    [{"format": "other"}, {"tasks": None}, {"metrics": {}}, {"points": [{}]}, {"nondominated_by": "train"}],
    ids=str,
)
def test_a_damaged_front_is_named(change: dict[str, Any], tmp_path: Path) -> None:
    point = {"preference": {"a": 1.0, "b": 0.0}, "validation": {"a": 0.5, "b": None}, "nondominated": True}
    told = {"metrics": {"a": "r2", "b": "r2"}, "higher_is_better": {"a": True, "b": True}}
    whole = {"format": measured_front.FORMAT, "front": "phn", "tasks": ["a", "b"], "points": [point]} | told
    whole |= {"nondominated_by": "validation"}
    assert measured_front.find(tmp_path) is None
    (tmp_path / "front.json").write_text(json.dumps(whole))
    assert measured_front.find(tmp_path) == whole
    (tmp_path / "front.json").write_text(json.dumps(whole | change))
    with pytest.raises(RequestError, match="measure it again"):
        measured_front.find(tmp_path)


def test_many_tasks_are_numbered_and_few_are_named() -> None:
    def drawn(count: int) -> Any:
        tasks = [f"t{k}" for k in range(count)]
        point = {"preference": dict.fromkeys(tasks, 0.0), "test": dict.fromkeys(tasks, 0.5), "nondominated": True}
        told = {"higher_is_better": dict.fromkeys(tasks, True), "nondominated_by": "test", "front": "phn"}
        return fronts.chart({"tasks": tasks, "points": [point], **told}, "run")

    assert drawn(7).columns == tuple(f"t{k}" for k in range(7))
    assert "7 t6" not in drawn(7).note
    assert not drawn(21).columns
    assert "21 t20" in drawn(21).note
    assert drawn(3).title == "The front of 3 tasks: run"
