"""Nothing of the user's is deleted or replaced, a refused command leaves no trace, and of two at once one goes on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from faults import killing, scenes
from scalarize.runs.train import train

TRAIN = ["train", *scenes.OWN, "--out", "o"]
SEARCH = ["search", *scenes.OWN, "--ready", "1", "--population", "2", "--out", "o"]
COMPARE = ["compare", *scenes.OWN, "--methods", "uniform", "--seeds", "1", "--out", "o"]
RUNS = ["search", "--runs", "runs.csv", "--algorithm", "regression", "--out", "o"]
RUNS_TABLE = "weight:a,weight:b,metric:x,metric:y\n" + "".join(
    f"{k / 8},{1 - k / 8},{0.5 + k % 3 / 10},{0.3 + k % 5 / 10}\n" for k in range(9)
)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "mine.csv").write_text(scenes.TABLE)
    (tmp_path / "runs.csv").write_text(RUNS_TABLE)
    return tmp_path


def content(place: Path) -> dict[str, bytes | None]:
    return {p.relative_to(place).as_posix(): p.read_bytes() if p.is_file() else None for p in place.rglob("*")}


@pytest.mark.parametrize("name", ["last", "selected", "selected-method", "final"])
@pytest.mark.parametrize("resume", [False, True])
def test_a_training_replaces_and_continues_no_state_that_it_did_not_write(
    name: str, resume: bool, place: Path, command: Any
) -> None:
    mine = place / "o" / "checkpoints" / f"{name}.pt"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"mine")
    before = content(place)
    answer = command(*TRAIN, *(["--resume"] if resume else []))
    assert answer.status == 2
    assert f"{name}.pt: was not written by this run" in answer.err.splitlines()[-1]
    assert content(place) == before


@pytest.mark.parametrize(
    "name", ["policy.json", "table.json", "events.jsonl", "checkpoints/x", "front/policy-000.json"]
)
def test_a_search_replaces_nothing_that_it_did_not_write(name: str, place: Path, command: Any) -> None:
    mine = place / "o" / name
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    before = content(place)
    answer = command(*SEARCH)
    assert answer.status == 2
    assert "o" in answer.err.splitlines()[-1]
    assert content(place) == before


def test_a_page_and_a_policy_are_replaced_only_if_they_are_ours(place: Path, command: Any) -> None:
    assert command(*TRAIN, "--method", "mgda").status == 0
    for words, name in ((["report", "o"], "o/report.html"), (["policy", "o"], "o/policy.json")):
        assert command(*words).status == 0
        written = (place / name).read_bytes()
        assert command(*words).status == 0
        assert (place / name).read_bytes() == written
        for changed in (b"", b"mine", written.replace(b"a", b"b", 1), written[:-30]):
            (place / name).write_bytes(changed)
            answer = command(*words)
            assert answer.status == 2
            assert f"{name}: was not written by this command, or was changed" in answer.err
            assert (place / name).read_bytes() == changed
    assert command("train", *scenes.OWN, "--policy", "o/policy.json", "--out", "p").status == 2  # it was changed


WRONG = [
    [*TRAIN, "--weights", "a=nan,b=1"],
    [*TRAIN, "--set", "model.dropout=2"],
    [*TRAIN, "--set", "optimizer.lr=-1"],
    [*TRAIN, "--single", "c"],
    [*SEARCH, "--split", "0.9999999"],
    [*SEARCH, "--checkpoints", "nosuch://x"],
    [*SEARCH, "--set", "model.dropout=2"],
    [*SEARCH, "--also", "optimizer.lr=log:1:0"],
    [*SEARCH, "--from-generation", "1"],
    [*SEARCH, "--resume", "--from-generation", "1"],
    [*COMPARE, "--learning-rates", "inf"],
    [*COMPARE, "--learning-rates", "0.1,nan"],
    [*COMPARE, "--set", "model.dropout=2"],
    [*RUNS, "--score", "main=z"],
]


@pytest.mark.parametrize("words", WRONG, ids=lambda words: f"{words[0]} {' '.join(words[-2:])}")
@pytest.mark.parametrize("there", [False, True])
def test_a_refused_command_leaves_everything_as_it_was(
    words: list[str], there: bool, place: Path, command: Any
) -> None:
    if there:
        (place / "o").mkdir()
        (place / "o" / "notes.txt").write_text("mine")
    before = content(place)
    answer = command(*words)
    assert answer.status == 2, answer.err
    assert content(place) == before
    assert len(answer.err.splitlines()[-1]) > 20


def test_a_damaged_configuration_or_record_is_found_before_training(
    place: Path, command: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [*scenes.COMMANDS["train"]]
    call = scenes.command(place, *words)
    changes = killing.in_child(call, place)[1]
    for path in sorted((place / "o").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    assert killing.in_child(call, place, changes // 2)[0] == killing.KILLED
    assert (place / "o" / "checkpoints" / "last.pt").exists()
    monkeypatch.setattr("scalarize.learners.supervised.SupervisedLearner.train", lambda *_: pytest.fail("it trains"))
    whole = content(place / "o")
    for name in ("config.yaml", "records.jsonl", "table.json", "checkpoints/last.pt", "manifest.json"):
        held = whole[name]
        assert held is not None
        for damaged in (b"", held[: len(held) // 2], held.replace(b"0", b"1", 1)):
            (place / "o" / name).write_bytes(damaged)
            answer = command(*words)
            assert answer.status == 2, (name, answer.err)
            assert name in answer.err.splitlines()[-1]
        (place / "o" / name).write_bytes(held)


def both(words: list[str], place: Path) -> list[int]:
    """Exit statuses of two such commands, begun together."""
    ready, go = os.pipe()
    children = []
    for _ in range(2):
        child = os.fork()
        if child == 0:
            os.close(go)
            os.read(ready, 1)  # until all ends of the other side are closed
            os._exit(killing.in_child(scenes.command(place, *words), place)[0])
        children.append(child)
    os.close(ready)
    os.close(go)
    return sorted(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children)


@pytest.mark.parametrize("words", [RUNS, TRAIN, SEARCH], ids=lambda words: " ".join(words[:2]))
def test_of_two_at_once_one_goes_on(words: list[str], place: Path, command: Any) -> None:
    assert command(*words[:-1], "loaded").status == 0  # so that the forked ones need not import
    for k in range(3):
        assert both([*words[:-1], f"o{k}"], place) == [0, 2]


def test_a_held_directory_is_said_in_one_line_and_left_alone(place: Path, command: Any) -> None:
    from scalarize.utils.holding import held

    with held(place / "o"):
        before = content(place)
        for words in (TRAIN, SEARCH, COMPARE, RUNS):
            answer = command(*words)
            assert (answer.status, answer.err.splitlines()[-1]) == (
                2,
                "scalarize: o: another process is working on it: wait, or choose another --out",
            )
        assert content(place) == before


def test_verify_says_what_can_be_trusted(place: Path, command: Any) -> None:
    assert command("verify", "o").status == 2
    assert command("verify", ".").status == 2
    assert command(*COMPARE).status == 0
    answer = command("verify", "o")
    assert (answer.status, "files are as they were written" in answer.out) == (0, True)
    result = place / "o" / "runs" / "uniform-seed0" / "result.json"
    result.write_bytes(result.read_bytes().replace(b"1", b"2", 1))
    (place / "o" / "table.json").unlink()
    answer = command("verify", "o")
    assert answer.status == 1
    assert "o/runs/uniform-seed0/result.json: is not what this run wrote" in answer.out
    assert "o/table.json: is gone" in answer.out
    assert command("verify", "o", "--json").json["trusted"] is False
    (place / "o" / "manifest.json").write_text("{")
    assert "o/manifest.json: is damaged" in command("verify", "o").out
    (place / "o" / "manifest.json").unlink()
    assert "o: has no digests" in command("verify", "o").out


def test_the_train_function_of_python_refuses_a_foreign_state(place: Path) -> None:
    from scalarize.runs.request import TrainRequest
    from scalarize.utils.errors import RequestError

    mine = place / "o" / "checkpoints" / "last.pt"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"mine")
    request = TrainRequest(csv=str(place / "mine.csv"), targets=("a", "b"), epochs=1, method="uniform")
    with pytest.raises(RequestError, match="was not written by this run"):
        train(request, place / "o", "scalarize train")
