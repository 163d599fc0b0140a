"""Killed before a change of a file or within a write, and run again: the bytes are those of an undisturbed run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from faults import killing, scenes, trials

FEW = 25  # distance of the changes that are tried in every run of the tests; all of them under the slow mark
OFTEN = ["search, pbt", "search without a barrier", "scalarize train"]
ALL = list(trials.kills(Path("found")))


def killed(name: str, place: Path, every: int) -> Any:
    make = trials.kills(place / "found")[name]
    return killing.kill_everywhere(name, make, scenes.products, place / "trials", every)


@pytest.mark.parametrize("name", OFTEN)
def test_some_kills(name: str, tmp_path: Path) -> None:
    found = killed(name, tmp_path, FEW)
    assert found.failed == []
    assert found.tried >= 3


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_every_kill(name: str, tmp_path: Path) -> None:
    found = killed(name, tmp_path, 1)
    assert found.failed == []
    assert found.tried >= 5
