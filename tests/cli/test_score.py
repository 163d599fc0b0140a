"""One main target, the others as auxiliaries, and weighted scores: the same choice in every command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

TASKS = ("any-mental", "log-drugs", "visits-other")  # the last one is best early, the first late
PROBLEM = (
    "rand-hie",
    "--tasks",
    ",".join(TASKS),
    "--epochs",
    4,
    "--set",
    "batch_size=512",
    "--set",
    "optimizer.lr=0.01",
)


def validation(run: Path) -> pd.DataFrame:
    """Epoch x task: the metric on validation that the records hold."""
    rows = pd.read_json(run / "records.jsonl", lines=True)
    rows = rows[(rows["split"] == "validation") & (rows["metric"] != "loss")]
    return rows.drop_duplicates(["epoch", "task"]).pivot(index="epoch", columns="task", values="value")


def config(directory: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((directory / "config.yaml").read_text())
    return content


@pytest.mark.parametrize(
    ("score", "weights"),
    [
        ("main=log-drugs", {"log-drugs": 1.0}),
        ("any-mental=3,visits-other=1", {"any-mental": 0.75, "visits-other": 0.25}),
        ("average", None),
    ],
)
def test_train_chooses_its_epoch_by_the_score(
    score: str, weights: dict[str, float] | None, command: Any, tmp_path: Path
) -> None:
    answer = command("train", *PROBLEM, "--score", score, "--out", "r", "--json")
    assert answer.status == 0, answer.err
    courses = validation(tmp_path / "r")
    of = courses.mean(axis=1) if weights is None else sum(courses[t] * w for t, w in weights.items())
    assert answer.json["epoch"] == of.idxmax()
    if weights is None:
        assert "score" not in answer.json
        assert "score" not in config(tmp_path / "r")["request"]  # as files of before have it
        return
    stated = answer.json["score"]
    assert (stated["name"], stated["weights"], stated["lower_is_better"]) == (score, weights, False)
    assert stated["validation"] == pytest.approx(of.max())
    assert stated["test"] == pytest.approx(sum(answer.json["test"][t] * w for t, w in weights.items()))
    assert config(tmp_path / "r")["request"]["score"] == score
    assert f"{of[4]:.4f}" in answer.err.splitlines()[-1]  # progress shows what is chosen by


def test_the_epochs_differ_so_that_the_choice_is_seen(command: Any, tmp_path: Path) -> None:
    best = {}
    for target in TASKS:
        words = ("train", *PROBLEM, "--score", f"main={target}", "--out", target, "--json")
        best[target] = command(*words).json["epoch"]
    assert len(set(best.values())) > 1, best


def test_search_and_its_retrain_have_one_score(command: Any, tmp_path: Path) -> None:
    words = ("--population", 3, "--ready", 2, "--score", "main=log-drugs", "--out", "s", "--json")
    found = command("search", *PROBLEM, *words)
    assert found.status == 0, found.err
    last = [json.loads(line) for line in (tmp_path / "s/lineage.jsonl").read_text().splitlines()]
    assert found.json["score"] == max(row["score"] for row in last)
    assert found.json["score"] == pytest.approx(found.json["metrics"]["log-drugs"])
    again = command("retrain", "s", "--json")
    assert again.status == 0, again.err
    directory = Path(again.json["out"])
    assert config(tmp_path / directory)["request"]["score"] == "main=log-drugs"
    run = tmp_path / directory / again.json["runs"][0]
    assert config(run)["request"]["score"] == "main=log-drugs"
    assert json.loads((run / "result.json").read_text())["epoch"] == validation(run)["log-drugs"].idxmax()
    row = again.json["rows"][0]
    assert row["score"]["mean"] == row["tasks"]["log-drugs"]["mean"]
    other = command("retrain", "s", "--score", "main=visits-other", "--out", "other", "--json")
    assert config(tmp_path / "other")["request"]["score"] == "main=visits-other"
    assert other.json["rows"][0]["score"]["mean"] == other.json["rows"][0]["tasks"]["visits-other"]["mean"]


def test_compare_ranks_tests_and_draws_the_score(command: Any, tmp_path: Path) -> None:
    words = ("--methods", "single,uniform,random-search", "--searches", 1, "--population", 2, "--seeds", 2)
    answer = command("compare", *PROBLEM, *words, "--score", "main=visits-other", "--out", "c", "--json")
    assert answer.status == 0, answer.err
    for row in answer.json["rows"]:
        assert row["score"] == row["tasks"]["visits-other"]
        assert row["average"]["mean"] == pytest.approx(np.mean([cell["mean"] for cell in row["tasks"].values()]))
    assert all(" on main=visits-other: " in sentence for sentence in answer.json["verdicts"])
    means = {row["method"]: row["tasks"]["visits-other"]["mean"] for row in answer.json["rows"]}
    first = answer.json["verdicts"][0]
    assert first.startswith("single")
    assert f"{100 * (means['single'] - means['uniform']):+.2f}" in first
    asked = {
        p.parent.name: config(p.parent)["request"].get("score") for p in (tmp_path / "c/runs").glob("*/config.yaml")
    }
    assert asked["uniform-seed0"] == "main=visits-other"
    assert asked["single-seed0-visits-other"] is None  # one task alone
    assert config(tmp_path / "c/searches/random-0")["request"]["score"] == "main=visits-other"
    assert command("report", "c").status == 0
    page = (tmp_path / "c/report.html").read_text()
    assert "ranked by <code>main=visits-other</code>" in page
    assert "validation metric, main=visits-other" in page
    shown = command("compare", *PROBLEM, *words, "--score", "main=visits-other", "--out", "c", "--resume")
    assert "ranked by main=visits-other" in shown.out
    assert (
        command("compare", *PROBLEM, *words, "--out", "c", "--resume").err.count("score was 'main=visits-other'") == 1
    )


REFUSED = [
    ("train", ("--score", "main=visits-othr"), "unknown task 'visits-othr' in the score 'main=visits-othr'"),
    ("train", ("--score", "main=5"), "unknown task 'main'"),
    ("train", ("--score", "best"), "unknown score 'best'"),
    ("train", ("--score", "gain"), "missing: any-mental, log-drugs, visits-other"),
    ("train", ("--single", "log-drugs", "--score", "main=visits-other"), "--single and --score exclude each other"),
    ("train", ("--tasks", "any-mental,log-drugs", "--score", "main=visits-other"), "unknown task 'visits-other'"),
    ("compare", ("--methods", "uniform", "--score", "main=visits-othr"), "did you mean 'visits-other'"),
    ("search", ("--population", 3, "--score", "main=visits-othr"), "did you mean 'visits-other'"),
]


@pytest.mark.parametrize(("name", "words", "expected"), REFUSED)
def test_wrong_scores_end_with_status_2_and_one_line(
    name: str, words: tuple[Any, ...], expected: str, command: Any, tmp_path: Path
) -> None:
    answer = command(name, *PROBLEM, *words, "--out", "x")
    assert answer.status == 2
    *notes, error = answer.err.splitlines()
    assert error.startswith("scalarize: ")
    assert expected in error
    assert len(notes) <= (name == "train")  # which says first where its data come from
    assert not (tmp_path / "x").exists()


def test_tasks_of_both_directions_can_be_compared_by_one_of_them() -> None:
    from scalarize.runs.task_score import TaskScore

    higher = {"accuracy": True, "error": False}
    metrics = {"accuracy": 0.8, "error": 3.0}
    error = TaskScore("main=error", higher)
    assert (error.of(metrics), error.shown(metrics), error.lower_is_better) == (-3.0, 3.0, True)
    assert error.to_dict()["weights"] == {"error": 1.0}
    both = TaskScore("accuracy=1,error=1", higher)
    assert both.shown(metrics) == both.of(metrics) == pytest.approx((0.8 - 3) / 2)
    assert both.to_dict() == {
        "name": "accuracy=1,error=1",
        "lower_is_better": False,
        "weights": {"accuracy": 0.5, "error": -0.5},
    }
    assert TaskScore("worst", {"a": False, "b": False}).shown({"a": 1.0, "b": 2.0}) == 2.0
    gain = TaskScore("gain", {"error": False}, {"error": -4.0})
    assert gain.shown({"error": 3.0}) == pytest.approx(0.25)


def test_a_learning_rate_is_chosen_in_the_direction_of_the_metric() -> None:
    from scalarize.runs.comparison_records import choose_rates

    found = [
        {"method": "m", "rate": rate, "validation": value, "trainings": 1} for rate, value in ((0.1, 2.0), (0.2, 1.0))
    ]
    assert [r["rate"] for r in choose_rates(found)] == [0.1]
    assert [r["rate"] for r in choose_rates(found, lower_is_better=True)] == [0.2]
