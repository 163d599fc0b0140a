"""`scalarize watch`: until all is finished; it reads only."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from scalarize.cli import watch


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
    shown = command("watch", "runs", "--once").out.splitlines()
    assert shown[1] == "runs/c  5 done, 2 running (a seed 0, b seed 1), 7 waiting, about 42 s left"
    (state,) = command("watch", "runs", "--json").json["sets"]
    assert (state["done"], state["waiting"]) == (5, 7)
    ProgressFile(tmp_path / "runs" / "c").close()
    assert "sets" not in command("watch", "runs", "--json").json
