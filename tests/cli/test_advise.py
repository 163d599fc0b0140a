"""``advise``: from the command to files that can be used, gone on with, and trusted."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest

import calling
from scalarize.weights.policy import Policy

WORDS = ["advise", "rand-hie", "--tasks", "log-drugs,any-supplies", "--epochs", "1", "--set", "model.widths=[4]"]
KEYS = {"answer", "method", "gain", "low", "high", "trainings", "command"}


def run(place: Path, *words: str) -> tuple[int, str, str]:
    with calling.inside(place):
        return calling.call([*map(str, words)])


@pytest.fixture(scope="module")
def raced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a finished advice in ``a b``, at the least budget."""
    place = tmp_path_factory.mktemp("advice")
    status, out, err = run(place, *WORDS, "--trainings", "29", "--out", "a b", "--json")
    assert status == 0, err
    (place / "said.json").write_text(out)
    return place


def test_the_answer_has_its_keys_and_costs_at_most_its_budget(raced: Path) -> None:
    said = json.loads((raced / "said.json").read_text())
    kept = json.loads((raced / "a b" / "advice.json").read_text())
    assert said == kept
    assert set(said) >= KEYS
    assert said["answer"] in ("even", "rule", "search", "undecided")
    assert 0 < said["trainings"] <= 29
    assert said["low"] <= said["gain"] <= said["high"]
    trained = sum(1 for _ in (raced / "a b" / "runs").iterdir())
    assert said["trainings"] > trained
    assert {"uniform", "inverse-loss", "inverse-constant", "uncertainty", "imtl-l"} <= set(said["scores"])


def test_the_policy_and_the_command_can_be_used(raced: Path) -> None:
    said = json.loads((raced / "said.json").read_text())
    assert set(Policy.load(raced / "a b" / "policy.json").tasks) == {"log-drugs", "any-supplies"}
    words = shlex.split(said["command"])
    assert words[:2] == ["scalarize", "train"]
    status, _, err = run(raced, *words[1:], "--out", "used", "--json")
    assert status == 0, err


def test_its_files_are_vouched_for_drawn_and_watched(raced: Path) -> None:
    assert run(raced, "verify", "a b")[0] == 0
    status, out, _ = run(raced, "report", "a b", "--out", "page.html")
    assert status == 0, out
    page = (raced / "page.html").read_text()
    said = json.loads((raced / "said.json").read_text())
    assert said["words"][0].split(":")[0] in page
    assert "The race" in page
    status, out, _ = run(raced, "watch", "a b", "--once")
    assert status == 0
    assert "running" not in out


def test_killed_and_gone_on_with_it_gives_the_same_answer(raced: Path) -> None:
    place = raced / "again"
    shutil.copytree(raced / "a b", place)
    for name in ("advice.json", "policy.json", "result.json"):
        (place / name).unlink()
    runs = sorted((place / "runs").iterdir())
    for left in (runs[-1], runs[3]):
        shutil.rmtree(left)
    status, out, err = run(raced, *WORDS, "--trainings", "29", "--out", "again", "--json", "--resume")
    assert status == 0, err
    before, after = json.loads((raced / "said.json").read_text()), json.loads(out)
    places = ("out", "policy", "command")
    assert {k: v for k, v in after.items() if k not in places} == {k: v for k, v in before.items() if k not in places}
    assert len(list((place / "runs").iterdir())) == len(runs)


def test_a_main_target_and_a_time_that_is_over(raced: Path) -> None:
    more = ("--score", "main=log-drugs", "--max-time", "1e-9", "--json")
    status, out, err = run(raced, *WORDS, *more, "--out", "main")
    assert status == 0, err
    said = json.loads(out)
    assert (said["answer"], said["trainings"], said["low"]) == ("undecided", 0, None)
    assert set(Policy.load(raced / "main" / "policy.json").weights_at(0).tolist()) == {0.5}


ERRORS: list[tuple[tuple[str, ...], str]] = [
    (("--trainings", "3"), "--trainings must be at least 29"),
    (("--trainings", "nan"), "--trainings must be a number"),
    (("--trainings", "1e9"), "--trainings must be at most 100,000"),
    (("--margin", "0"), "--margin must be above 0"),
    (("--max-time", "-1"), "--max-time must be a positive number"),
    (("--score", "main=unknown"), "unknown task 'unknown'"),
    (("--tasks", "log-drugs"), "weights matter between at least two"),
    (("--out", "a b"), "already holds a run"),
    (("--out", "a b", "--resume", "--seed", "1"), "holds a different request: "),
    (("--out", "a b/runs/uniform-seed2", "--resume"), "holds a training, not an advice"),
]


@pytest.mark.parametrize(("words", "message"), ERRORS, ids=lambda x: " ".join(x) if isinstance(x, tuple) else "")
def test_what_cannot_be_is_said_in_a_line(raced: Path, words: tuple[str, ...], message: str) -> None:
    status, out, err = run(raced, *WORDS, *words)
    assert status == 2, err
    assert message in err.splitlines()[-1]
    assert not out


def test_workloads_without_validation_or_average_are_refused(command: Any, tmp_path: Path) -> None:
    rows = "".join(f"{k % 2},{k * 7 % 10 / 3},{k * 3 % 11}\n" for k in range(60))
    (tmp_path / "odd.csv").write_text('"a, b",c=1,x\n' + rows)
    words = ["advise", "--csv", "odd.csv", "--targets", "a, b", "--targets", "c=1", "--metrics", "c=1=rmse"]
    answer = command(*words)
    assert answer.status == 2
    assert "no average" in answer.err


@pytest.mark.slow
def test_odd_names_of_a_table_can_be_trained_with_the_printed_command(command: Any, tmp_path: Path) -> None:
    rows = "".join(f"{k % 2},{k * 7 % 10 / 3},{k * 3 % 11}\n" for k in range(80))
    (tmp_path / "my table.csv").write_text('"it\'s",c=1,x\n' + rows)
    words = ["--csv", "my table.csv", "--targets", "it's", "--targets", "c=1", "--epochs", "1", "--score", "main=c=1"]
    answer = command("advise", *words, "--trainings", "40", "--out", "a", "--json")
    assert answer.status == 0, answer.err
    again = command(*shlex.split(answer.json["command"])[1:], "--json")
    assert again.status == 0, again.err
