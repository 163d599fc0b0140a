"""Killed before a change of a file or within a write, and run again: the bytes are those of an undisturbed run."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest

import scalarize
from faults import killing, scenes

SOME = 9  # distance of the changes that are tried in every run of the tests; all of them under the slow mark


def held(found: killing.Trials, least: int) -> None:
    assert found.failed == []
    assert found.tried >= least


@pytest.mark.parametrize("asked", [{}, {"asynchronous": True}], ids=["pbt", "without a barrier"])
def test_some_kills_of_a_search(tmp_path: Path, asked: dict[str, Any]) -> None:
    make = functools.partial(scenes.toy, **asked)
    held(killing.kill_everywhere("search", make, scenes.products, tmp_path, SOME), 5)


def test_some_kills_of_a_training(tmp_path: Path) -> None:
    make = lambda place: scenes.command(place, *scenes.COMMANDS["train"])  # noqa: E731
    held(killing.kill_everywhere("train", make, scenes.products, tmp_path, SOME), 5)


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", scalarize.search.names())
def test_every_kill_of_a_search(algorithm: str, tmp_path: Path) -> None:
    make = functools.partial(scenes.toy, algorithm=algorithm)
    held(killing.kill_everywhere(algorithm, make, scenes.products, tmp_path), 40)


@pytest.mark.slow
@pytest.mark.parametrize("name", scenes.COMMANDS)
def test_every_kill_of_a_command(name: str, tmp_path: Path) -> None:
    make = lambda place: scenes.command(place, *scenes.COMMANDS[name])  # noqa: E731
    held(killing.kill_everywhere(name, make, scenes.products, tmp_path), 20)
