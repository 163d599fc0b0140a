"""A set that is built again replaces the one that is there when it is whole, and at no other moment."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

import pytest
import torch

from damage import snapshot
from scalarize.utils.errors import RequestError
from scalarize.workloads.datasets import manifest


class Crash(BaseException):
    """The end of the process."""


def build(folder: Path, value: float) -> None:
    manifest.write(folder, "x.pt", {"x": torch.full((3,), value)}, {"said": [f"{value}"]})


def held(folder: Path) -> float:
    return float(manifest.load(folder, "x.pt", "get it")["x"][0])


def test_a_build_that_fails_changes_nothing(tmp_path: Path) -> None:
    build(tmp_path, 1.0)
    before = snapshot(tmp_path)
    with contextlib.suppress(Crash), manifest.replacing(tmp_path) as place:
        (place / "x.pt").write_bytes(b"half")
        raise Crash
    assert snapshot(tmp_path) == before
    assert held(tmp_path) == 1.0


def test_a_crash_at_every_change_leaves_a_whole_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build(tmp_path / "first", 1.0)
    (tmp_path / "first" / "mine.txt").write_text("a file of the user's")
    replace, done, seen = os.replace, [0], []
    for crash in range(20):
        folder = tmp_path / str(crash)
        shutil.copytree(tmp_path / "first", folder)

        def cut(source: str | Path, target: str | Path, crash: int = crash) -> None:
            done[0] += 1
            if done[0] > crash:
                raise Crash
            replace(source, target)

        done[0] = 0
        monkeypatch.setattr(os, "replace", cut)
        monkeypatch.setattr(Path, "replace", lambda self, target: cut(self, target))
        with contextlib.suppress(Crash):
            build(folder, 2.0)
        monkeypatch.undo()
        assert manifest.present(folder, "x.pt")
        seen.append(held(folder))
        assert (folder / "mine.txt").exists()
        if done[0] <= crash:
            break
    assert seen == sorted(seen)
    assert set(seen) == {1.0, 2.0}
    assert len(seen) > 4
    assert {p.name for p in folder.iterdir()} == {".lock", "x.pt", "manifest.json", "mine.txt"}


def test_what_was_changed_is_refused(tmp_path: Path) -> None:
    build(tmp_path, 1.0)
    (tmp_path / "x.pt").write_bytes(b"other")
    with pytest.raises(RequestError, match="its hash is not the one in"):
        held(tmp_path)
