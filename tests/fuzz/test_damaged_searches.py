"""Searches and trainings cut short whose files were damaged: resumed to the same bytes, or refused in one line."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import scalarize
from damage import amounts, damaged, damaged_bytes, damaged_file, fuzz, one_line, snapshot
from scalarize.learners.supervised import SupervisedLearner
from scalarize.runs.request import TrainRequest
from scalarize.runs.train import train
from scalarize.search.toy_problems import Stationary
from scalarize.utils.errors import RequestError
from scalarize.utils.manifest import Manifest

KEPT = "kept"


class Crash(Exception):
    """What cuts a search or a training short."""


def crash_after(count: int) -> Callable[[Any], None]:
    seen = []

    def tell(event: Any) -> None:
        seen.append(event)
        if len(seen) == count:
            raise Crash

    return tell


def restore(place: Path, known: dict[Path, bytes]) -> None:
    """Make ``place`` hold these files and nothing else."""
    for path in set(snapshot(place)) - set(known):
        path.unlink()
    for path, content in known.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def products(place: Path) -> tuple[bytes, bytes]:
    return (place / "lineage.jsonl").read_bytes(), (place / "policy.json").read_bytes()


@pytest.mark.filterwarnings("ignore::scalarize.utils.errors.ScalarizeWarning")  # of a manifest that is gone
@pytest.mark.parametrize("asynchronous", [False, True])
@amounts(25, 700)
def test_a_search(tmp_path: Path, examples: int, asynchronous: bool) -> None:
    asked: dict[str, Any] = {"epochs": 4, "population": 3, "ready": 1, "asynchronous": asynchronous}
    scalarize.search(Stationary, out=tmp_path / "whole", **asked)
    place = tmp_path / "search"
    with pytest.raises(Crash):
        scalarize.search(Stationary, out=place, progress=crash_after(8), **asked)
    known = snapshot(place)

    def check(change: tuple[Path, bytes | None]) -> None:
        restore(place, known)
        path, content = change
        path.unlink()
        if content is not None:
            path.write_bytes(content)
        with one_line():
            scalarize.search(Stationary, out=place, resume=True, **asked)
            assert products(place) == products(tmp_path / "whole")

    fuzz(check, examples, damaged_file({p: c for p, c in known.items() if p.name not in (".lock", "timings.jsonl")}))


def packed(content: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def cut_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[TrainRequest, Path, Path]:
    """A training of three epochs that crashed in the last one: its request, its directory and its checkpoint."""
    table = tmp_path / "mine.csv"
    table.write_text("a,b,x\n" + "".join(f"{k % 2},{k * 7 % 10 / 3},{k * 3 % 11}\n" for k in range(60)))
    request = TrainRequest(csv=str(table), targets=("a", "b"), epochs=3, method="uncertainty")
    monkeypatch.setattr("scalarize.runs.train.CHECKPOINT_SECONDS", 0.0)
    place, original = tmp_path / "run", SupervisedLearner.train

    def cut(self: SupervisedLearner, policy: Any, until_epoch: int) -> None:
        if until_epoch == 3:
            raise Crash
        original(self, policy, until_epoch)

    monkeypatch.setattr(SupervisedLearner, "train", cut)
    with pytest.raises(Crash):
        train(request, place, "scalarize train")
    monkeypatch.setattr(SupervisedLearner, "train", original)
    return request, place, place / "checkpoints" / "last.pt"


@pytest.mark.parametrize(
    "wrong", [{"epoch": -1}, {"epoch": -1e300}, {"epoch": 4}, {"position": {}}, {"position": {"mine": -1}}]
)
def test_a_checkpoint_of_no_such_place_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: dict[str, Any]
) -> None:
    request, place, file = cut_short(tmp_path, monkeypatch)
    held = torch.load(file, weights_only=True)
    by = {"request": Manifest(place).request, "seed": 0}
    Manifest(place).write("checkpoints/last.pt", packed(held | {"learner": held["learner"] | wrong}), by)
    with pytest.raises(
        RequestError, match=r"last.pt: no checkpoint of this run: ValueError: (it is of epoch|no numbers)"
    ):
        train(request, place, "scalarize train", resume=True)


@amounts(12, 300)
def test_a_training(tmp_path: Path, examples: int, monkeypatch: pytest.MonkeyPatch) -> None:
    request, place, file = cut_short(tmp_path, monkeypatch)
    known = snapshot(place)
    held = torch.load(file, weights_only=True)

    def check(content: bytes) -> None:
        restore(place, known)
        file.write_bytes(content)
        with one_line():
            train(request, place, "scalarize train", resume=True)
            assert (place / "result.json").exists()

    parts = damaged(dict.fromkeys(held, KEPT)).map(lambda changed: refill(changed, held))
    inner = damaged(dict.fromkeys(held["learner"], KEPT)).map(lambda changed: refill(changed, held["learner"]))
    foreign = parts | inner.map(lambda changed: held | {"learner": changed})
    fuzz(check, examples, foreign.map(packed) | damaged_bytes(known[file]))


def refill(changed: Any, whole: dict[str, Any]) -> Any:
    """``changed`` with what was not damaged as it was."""
    if not isinstance(changed, dict):
        return changed
    return {key: whole[key] if value == KEPT and key in whole else value for key, value in changed.items()}
