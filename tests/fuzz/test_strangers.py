"""Files from a stranger that would run code if anything unpickled them: nothing runs, whatever reads them."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

import scalarize
from calling import call, furnish, inside
from scalarize.search.toy_problems import Stationary
from scalarize.utils.errors import ScalarizeError


class Bomb:
    """Unpickling it writes a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.write_text, (self.mark, "it ran")


def bombs(mark: Path, folder: Path) -> dict[str, bytes]:
    """The same charge as plain pickle, as torch's own file, and as YAML."""
    torch.save({"format": "scalarize-member/1", "metrics": Bomb(mark), "state": None}, folder / "bomb.pt")
    yaml = f"format: scalarize-run/1\nkind: !!python/object/apply:os.system ['touch {mark}']\n"
    return {"pickle": pickle.dumps(Bomb(mark)), "torch": (folder / "bomb.pt").read_bytes(), "yaml": yaml.encode()}


def test_the_bombs_are_live(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    for name in ("pickle", "torch"):
        content = bombs(mark, tmp_path)[name]
        (tmp_path / name).write_bytes(content)
        pickle.loads(content) if name == "pickle" else torch.load(tmp_path / name, weights_only=False)
        assert mark.exists()
        mark.unlink()


@pytest.mark.parametrize("kind", ["pickle", "torch", "yaml"])
def test_no_command_runs_what_it_reads(tmp_path: Path, kind: str) -> None:
    mark = tmp_path / "mark"
    charge = bombs(mark, tmp_path)[kind]
    furnish(tmp_path)
    (tmp_path / "bomb.json").write_bytes(charge)
    own = ["--csv", "mine.csv", "--targets", "a,b", "--epochs", "1"]
    lines = [
        ["train", *own, "--policy", "bomb.json"],
        ["search", *own, "--start", "bomb.json"],
        ["compare", *own, "--methods", "policy", "--policy", "bomb.json"],
        ["train", "--csv", "bomb.json", "--targets", "a,b"],
        ["search", "--algorithm", "regression", "--runs", "bomb.json"],
    ]
    with inside(tmp_path):
        for line in lines:
            assert call(line)[0] == 2, line
        held = {p.name for p in (tmp_path / "held").rglob("*") if p.is_file()}
        for name in sorted(held):
            for place in ("run", "search", "comparison"):
                for path in (tmp_path / "held" / place).rglob(name):
                    path.write_bytes(charge)
            for place in ("run", "search", "comparison"):
                for command in (["report"], ["policy"], ["retrain"], ["watch", "--once"]):
                    status, _, _ = call([command[0], f"held/{place}", *command[1:]])
                    assert status in (0, 1, 2)
                assert call(["train", *own, "--out", f"held/{place}", "--resume"])[0] == 2
    assert not mark.exists()


@pytest.mark.parametrize("kind", ["pickle", "torch"])
def test_no_search_runs_its_checkpoints(tmp_path: Path, kind: str) -> None:
    mark = tmp_path / "mark"
    charge = bombs(mark, tmp_path)[kind]

    def tell(event: Any) -> None:
        if event.generation == 1:
            raise KeyboardInterrupt

    asked: dict[str, Any] = {"epochs": 4, "population": 3, "ready": 1, "out": tmp_path / "search"}
    with pytest.raises(KeyboardInterrupt):
        scalarize.search(Stationary, progress=tell, **asked)
    members = sorted((tmp_path / "search" / "checkpoints").rglob("*.pt"))
    assert members
    for path in members:
        path.write_bytes(charge)
    with pytest.raises(ScalarizeError):
        scalarize.search(Stationary, resume=True, **asked)
    assert not mark.exists()


def test_no_training_runs_its_checkpoint(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    furnish(tmp_path)
    own = ["train", "--csv", "mine.csv", "--targets", "a,b", "--epochs", "1", "--out", "r"]
    with inside(tmp_path):
        assert call(own)[0] == 0
        for charge in bombs(mark, tmp_path).values():
            (tmp_path / "r" / "result.json").unlink(missing_ok=True)
            (tmp_path / "r" / "manifest.json").unlink()  # which would refuse the file before it is read
            (tmp_path / "r" / "checkpoints" / "last.pt").write_bytes(charge)
            status, _, said = call([*own, "--resume"])
            assert status == 2
            assert "last.pt: cannot be read as a checkpoint" in said.splitlines()[-1]
    assert not mark.exists()
