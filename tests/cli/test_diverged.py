"""A training that diverged is called so wherever it is shown, and JSON is JSON."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

import fake_runs
from calling import furnish
from scalarize.learners.supervised import SupervisedLearner
from scalarize.utils import documents, files
from scalarize.utils.errors import DivergedError

OWN = ("--csv", "mine.csv", "--targets", "a,b", "--epochs", "3")


def strict(text: str) -> Any:
    """JSON as every reader but Python's takes it."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    return json.loads(text, parse_constant=refuse)


def diverge(monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """Every training diverges in that epoch."""
    train = SupervisedLearner.train

    def cut(self: SupervisedLearner, policy: Any, until_epoch: int) -> None:
        if until_epoch == at:
            raise DivergedError("the loss is not finite")
        train(self, policy, until_epoch)

    monkeypatch.setattr(SupervisedLearner, "train", cut)


@pytest.mark.parametrize("at", [1, 2])
def test_what_every_command_says(command: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    furnish(tmp_path)
    search = ("search", *OWN, "--population", "2", "--ready", "3", "--out", "s")
    assert command(*search).status == 0
    diverge(monkeypatch, at)
    retrained = command("retrain", "s", "--out", "r")
    assert retrained.status == 0
    said = f"policy: 1 of 1 diverged (first: epoch {at - 1}: the loss is not finite)"
    assert said in retrained.out
    assert strict(command("retrain", "s", "--out", "r", "--resume", "--json").out)["verdicts"][0].startswith(said)
    assert "1 of 1 diverged" in command("watch", "r").out
    compared = command("compare", *OWN, "--methods", "uniform", "--seeds", "1", "--no-baselines", "--out", "c")
    assert "uniform: 1 of 1 diverged" in compared.out
    for place in ("r", "c"):
        assert command("report", place).status == 0
        assert "1 of 1 diverged" in (tmp_path / place / "report.html").read_text()
    run = tmp_path / "c" / "runs" / "uniform-seed0"
    if at == 1:
        assert command("policy", run).status == 2  # nothing was recorded
    else:
        answer = command("policy", run)
        assert "the run diverged, epoch 1: the loss is not finite: the policy holds the epochs before" in answer.out
        assert strict((run / "policy.json").read_text())["provenance"]["diverged"].startswith("epoch 1")
        assert command("report", run).status == 0
        assert "diverged, epoch 1" in (run / "report.html").read_text()


def test_numbers_that_are_not_finite_are_null_with_the_reason(tmp_path: Path, command: Any) -> None:
    content = {"a": {"b.c": [1.0, math.nan]}, "d": -math.inf, "e": None}
    text = documents.to_json(content)
    found = strict(text)
    assert found.pop("not_finite") == [{"at": ["a", "b.c", 1], "was": "nan"}, {"at": ["d"], "was": "-inf"}]
    assert found == {"a": {"b.c": [1.0, None]}, "d": None, "e": None}
    files.write_json(tmp_path / "x.json", content)
    again = files.read_json(tmp_path / "x.json")
    assert math.isnan(again["a"]["b.c"].pop())
    assert again == {"a": {"b.c": [1.0]}, "d": -math.inf, "e": None}
    files.append_lines(tmp_path / "x.jsonl", [{"value": math.inf}, {"value": 0.5}])
    assert [strict(line) for line in (tmp_path / "x.jsonl").read_text().splitlines()] == [
        {"value": None},
        {"value": 0.5},
    ]


@pytest.mark.parametrize(
    "entry", [3, [3], [{}], [{"at": [], "was": "nan"}], [{"at": ["a"], "was": "nan"}], [{"at": 1}]]
)
def test_entries_that_do_not_fit_are_left_alone(entry: Any) -> None:
    content = {"a": 1, "not_finite": entry}
    assert documents.from_json(json.dumps(content).encode(), "it") == content


def test_a_result_with_nan_is_shown_as_json(command: Any, tmp_path: Path) -> None:
    run = fake_runs.training(tmp_path / "run", "mgda", 0, 0.7, tasks=("a", "b"))
    result = json.loads((run / "result.json").read_text())
    (run / "result.json").write_text(json.dumps(result | {"test": {"a": math.nan, "b": 0.5}}))  # as early versions did
    assert command("report", "run").status == 0
    assert strict(command("watch", "run", "--json").out)["runs"][0]["finished"]
