"""What `watch` sees of directories that others write: whole lines count, half ones and missing files do not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scalarize.analysis import progress
from scalarize.utils.errors import RequestError


def row(epoch: int, task: str, value: float) -> str:
    return json.dumps(
        {"step": epoch, "epoch": epoch, "split": "validation", "task": task, "metric": "loss"} | {"value": value}
    )


def a_run(path: Path, lines: list[str], tail: str = "") -> Path:
    path.mkdir(parents=True)
    (path / "config.yaml").write_text("kind: train\nrequest: {epochs: null}\nrecipe: {epochs: 5}\n")
    (path / "records.jsonl").write_text("".join(line + "\n" for line in lines) + tail)
    return path


def test_a_run_under_way(tmp_path: Path) -> None:
    lines = [row(1, "a", 3.0), row(1, "b", 1.0), row(2, "a", 1.5), row(2, "b", 0.5)]
    a_run(tmp_path / "r", lines, tail='{"step": 3, "epo')
    (state,) = progress.read(tmp_path)
    assert (state.kind, state.finished, state.epoch, state.epochs) == ("train", False, 2, 5)
    assert state.course == (2.0, 1.0)
    assert state.line == f"{tmp_path / 'r'}  train  epoch 2/5  █▁ validation loss 1.0000"


def test_a_search_shows_its_best_score_by_generation(tmp_path: Path) -> None:
    (tmp_path / "search.json").write_text('{"request": {"epochs": 8}}')
    rows = [(0, 2, 0.3), (0, 2, 0.5), (1, 4, None), (1, 4, 0.6)]
    text = "".join(json.dumps({"generation": g, "epoch": e, "score": s}) + "\n" for g, e, s in rows)
    (tmp_path / "lineage.jsonl").write_text(text)
    (state,) = progress.read(tmp_path)
    assert (state.kind, state.epoch, state.epochs, state.course) == ("search", 4, 8, (0.5, 0.6))
    (tmp_path / "result.json").write_text("{}")
    assert progress.read(tmp_path)[0].finished


def test_damaged_files_are_files_not_there_yet(tmp_path: Path) -> None:
    run = a_run(tmp_path / "r", ["[1, 2]", "word", '{"epoch": 1}'])
    (run / "records.jsonl").write_bytes(b"\xff\xfe")
    assert progress.read(tmp_path)[0].course == ()
    (run / "config.yaml").write_text("{")
    assert progress.read(tmp_path) == []


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no such directory"):
        progress.read(tmp_path / "none")
