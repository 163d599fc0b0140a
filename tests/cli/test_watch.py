"""`scalarize watch`: until all is finished; it reads only."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

import scalarize
from scalarize.cli import watch
from scalarize.search.toy_problems import Stationary
from scalarize.utils import files
from scalarize.utils.errors import BusyError


def test_a_finished_run_is_shown_once(command: Any) -> None:
    assert command("train", "rand-hie-sites", "--epochs", 1, "--out", "runs/a").status == 0
    answer = command("watch", "runs")
    assert answer.status == 0
    assert answer.out.startswith("1 finished, 0 under way\nruns/a  train  finished  ▁ validation loss")


def test_it_waits_for_what_is_under_way(command: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "runs" / "b"
    run.mkdir(parents=True)
    (run / "config.yaml").write_text("kind: train\n")
    asked = threading.Event()

    def finish(seconds: float) -> None:
        asked.set()
        (run / "result.json").write_text("{}")

    monkeypatch.setattr(watch.time, "sleep", finish)
    answer = command("watch", "runs", "--every", 5)
    assert asked.is_set()
    assert answer.out.splitlines() == [
        "0 finished, 1 under way",
        "runs/b  train  under way",
        "1 finished, 0 under way",
        "runs/b  train  finished",
    ]


def test_json_looks_once(command: Any, tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    assert command("watch", "runs", "--json").json == {"runs": []}


@pytest.mark.parametrize(
    ("words", "message"), [(("none",), "none: no such directory"), ((".", "--every", "0"), "--every must be above 0")]
)
def test_bad_requests(command: Any, words: tuple[str, ...], message: str) -> None:
    answer = command("watch", *words)
    assert answer.status == 2
    assert message in answer.err
    assert answer.err.count("\n") == 1


def test_a_set_under_way_is_shown_as_its_driver_counts(command: Any, tmp_path: Path) -> None:
    from scalarize.runs.workers.progress_file import ProgressFile

    (tmp_path / "runs" / "c").mkdir(parents=True)
    ProgressFile(tmp_path / "runs" / "c").write(5, ["a seed 0", "b seed 1"], 7, 41.7)
    with files.lock(tmp_path / "runs" / "c"):
        shown = command("watch", "runs", "--once").out.splitlines()
        assert shown[1] == "runs/c  5 done, 2 running (a seed 0, b seed 1), 7 waiting, about 42 s left"
        (state,) = command("watch", "runs", "--json").json["sets"]
        assert (state["done"], state["waiting"]) == (5, 7)
    assert "sets" not in command("watch", "runs", "--json").json  # its driver died
    ProgressFile(tmp_path / "runs" / "c").close()
    assert "sets" not in command("watch", "runs", "--json").json


def unfinished(place: Path) -> Path:
    place.mkdir(parents=True)
    (place / "config.yaml").write_text("kind: train\n")
    return place


def test_it_ends_on_a_run_that_died(command: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unfinished(tmp_path / "runs" / "b")
    looks: list[float] = []
    monkeypatch.setattr(watch.time, "sleep", looks.append)
    answer = command("watch", "runs", "--every", 5)
    assert answer.status == 0
    assert looks == [5.0]
    assert answer.out.splitlines()[-2:] == [
        "0 finished, 0 under way, 1 stopped",
        "runs/b  train  stopped: no process works on it",
    ]
    (state,) = command("watch", "runs", "--json").json["runs"]
    assert (state["finished"], state["stopped"]) == (False, True)


@pytest.mark.parametrize("held", [".", "b"])
def test_a_run_whose_lock_is_held_goes_on(command: Any, tmp_path: Path, held: str) -> None:
    unfinished(tmp_path / "runs" / "b")
    with files.lock(tmp_path / "runs" / held):
        assert command("watch", "runs", "--once").out.splitlines()[0] == "0 finished, 1 under way"
        with pytest.raises(BusyError), files.lock(tmp_path / "runs" / held):  # the look has not taken it
            pass


@pytest.mark.parametrize("asynchronous", [False, True])
def test_it_ends_on_a_search_made_from_python(command: Any, tmp_path: Path, asynchronous: bool) -> None:
    asked: dict[str, Any] = {"epochs": 4, "population": 3, "ready": 2, "asynchronous": asynchronous}

    def crash(progress: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scalarize.search(Stationary, out=tmp_path / "runs" / "s", progress=crash, **asked)
    assert "stopped" in command("watch", "runs", "--every", 0.01).out
    scalarize.search(Stationary, out=tmp_path / "runs" / "s", resume=True, **asked)
    answer = command("watch", "runs")
    assert answer.out.startswith("1 finished, 0 under way\nruns/s  search  finished")


def test_what_diverged_is_not_called_finished(command: Any, tmp_path: Path) -> None:
    run = unfinished(tmp_path / "runs" / "b")
    (run / "result.json").write_text('{"diverged": "epoch 3: loss nan"}')
    compared = unfinished(tmp_path / "runs" / "c")
    (compared / "config.yaml").write_text("kind: compare\n")
    (compared / "result.json").write_text('{"found": [{"diverged": ["epoch 3: loss nan"]}, {"diverged": []}]}')
    assert command("watch", "runs").out.splitlines() == [
        "1 finished, 0 under way, 1 diverged",
        "runs/b  train  diverged: epoch 3: loss nan",
        "runs/c  compare  finished, 1 of 2 diverged",
    ]
    assert [(s["finished"], s["diverged"]) for s in command("watch", "runs", "--json").json["runs"]] == [
        (False, "epoch 3: loss nan"),
        (True, "1 of 2 diverged"),
    ]
