"""Every stored file damaged in every way: refused in one line, or the bytes of an undisturbed run."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import scalarize
from damage import amounts
from faults import damaging, killing, scenes
from scalarize.runs.request import TrainRequest
from scalarize.runs.train import train
from scalarize.search.toy_problems import Noisy


class Stop(Exception):
    """The crash."""


def stop_after(count: int) -> Callable[[Any], None]:
    seen = []

    def tell(event: Any) -> None:
        seen.append(event)
        if len(seen) == count:
            raise Stop

    return tell


def search_trials(place: Path, bits: int, **asked: Any) -> killing.Trials:
    """Damage a search on a toy problem, whose second generation is under way."""

    def go(out: Path, seed: int = 0, **more: Any) -> Any:
        return scalarize.search(Noisy, **scenes.SMALL, **asked, seed=seed, out=out, resume=True, **more)

    for out, seed in ((place / "o", 1), (place / "p", 0), (place / "whole", 0)):
        with contextlib.suppress(Stop):
            go(out, seed, **({} if out.name == "whole" else {"progress": stop_after(6)}))
    others = {place / "p" / p.relative_to(place / "o"): c for p, c in damaging.snapshot(place / "o").items()}
    known, wanted = damaging.snapshot(place / "p"), products(place / "whole")
    return damaging.damage_everything(
        "search", place / "p", known, others, lambda: go(place / "p"), products, wanted, bits
    )


def products(out: Path) -> list[bytes]:
    return [(out / name).read_bytes() for name in ("lineage.jsonl", "policy.json")]


def train_trials(place: Path, bits: int, monkeypatch: pytest.MonkeyPatch) -> killing.Trials:
    """Damage a training whose second epoch is under way."""
    (place / "mine.csv").write_text(scenes.TABLE)
    monkeypatch.setattr("scalarize.runs.train.CHECKPOINT_SECONDS", 0.0)

    def go(out: Path, seed: int = 0, say: Any = None) -> None:
        small = {"model.width": 8, "model.members": 1}
        asked = {"csv": str(place / "mine.csv"), "targets": ("a", "b"), "epochs": 2, "settings": small}
        train(TrainRequest(**asked, method="uncertainty", seed=seed), out, "scalarize train", True, say)

    for out, seed in ((place / "o", 1), (place / "p", 0), (place / "whole", 0)):
        with contextlib.suppress(Stop):
            go(out, seed, None if out.name == "whole" else stop_after(1))
    others = {place / "p" / p.relative_to(place / "o"): c for p, c in damaging.snapshot(place / "o").items()}
    known = damaging.snapshot(place / "p")
    assert place / "p" / "checkpoints" / "last.pt" in known
    wanted = left(place / "whole")
    return damaging.damage_everything("train", place / "p", known, others, lambda: go(place / "p"), left, wanted, bits)


def left(out: Path) -> dict[str, Any]:
    found = scenes.products(out)
    found["result.json"].pop("out")
    return found


@pytest.mark.parametrize("asked", [{}, {"asynchronous": True}], ids=["pbt", "without a barrier"])
@amounts(1, 60)
def test_a_search(tmp_path: Path, examples: int, asked: dict[str, Any]) -> None:
    found = search_trials(tmp_path, examples, **asked)
    assert found.failed == []
    assert found.tried >= 30


@amounts(2, 60)
def test_a_training(tmp_path: Path, examples: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with contextlib.redirect_stderr(io.StringIO()):
        found = train_trials(tmp_path, examples, monkeypatch)
    assert found.failed == []
    assert found.tried >= 20
