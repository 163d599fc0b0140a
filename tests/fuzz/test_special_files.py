"""Pipes, files without end and documents with aliases in place of a run's files: one line, no wait, no memory."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import pytest

from calling import call, furnish, inside
from damage import snapshot

ALIAS = b"format: scalarize-run/1\nkind: train\nrequest: {a: &x [1], b: *x}\n"
OWN = ["--csv", "mine.csv", "--targets", "a,b", "--epochs", "1"]
KINDS = ("run", "search", "comparison")


def put_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def put_holes(path: Path) -> None:
    path.write_bytes(b"")
    os.truncate(path, 2**37)


def put_alias(path: Path) -> None:
    path.write_bytes(ALIAS)


def too_long(number: int, frame: FrameType | None) -> None:
    raise AssertionError("a command waits, or reads without end")


def lines_of(kind: str) -> list[list[str]]:
    place = f"held/{kind}"
    found = [["policy", place, "--out", "new.json"], ["retrain", place, "--out", "new"], ["report", place]]
    found += [["watch", place, "--once"], ["train", *OWN, "--out", place, "--resume"]]
    return [*found, ["search", *OWN, "--out", place, "--resume"], ["compare", *OWN, "--out", place, "--resume"]]


def refused(line: list[str], path: Path) -> bool:
    """If the command says no in a line; that it names the file at fault is asserted where it reads that file."""
    signal.alarm(20)
    try:
        status, out, err = call(line)
    finally:
        signal.alarm(0)
    assert status in (0, 2), (line, path, err)
    assert status == 0 or (out == "" and err.splitlines()[-1].startswith("scalarize: ")), (line, path, err)
    return status == 2


@pytest.mark.parametrize("put", [put_pipe, put_holes, put_alias])
def test_a_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, put: Callable[[Path], None]) -> None:
    furnish(tmp_path)
    signal.signal(signal.SIGALRM, too_long)
    with inside(tmp_path):
        for kind in KINDS:
            put(Path("held") / kind / "config.yaml")
            for line in lines_of(kind):
                assert refused(line, Path("config.yaml")) is (line[0] != "watch"), line


@pytest.mark.slow
@pytest.mark.parametrize("put", [put_pipe, put_holes, put_alias])
def test_every_file(tmp_path: Path, put: Callable[[Path], None]) -> None:
    furnish(tmp_path)
    signal.signal(signal.SIGALRM, too_long)
    with inside(tmp_path):
        for kind in KINDS:
            for path, content in snapshot(Path("held") / kind).items():
                put(path)
                for line in lines_of(kind):
                    refused(line, path)
                path.unlink()
                path.write_bytes(content)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 4 * 2**20  # KiB


@pytest.mark.parametrize("put", [put_pipe, put_holes])
def test_what_is_given_on_the_command_line(tmp_path: Path, put: Callable[[Path], None]) -> None:
    furnish(tmp_path)
    (tmp_path / "odd").touch()
    put(tmp_path / "odd")
    signal.signal(signal.SIGALRM, too_long)
    with inside(tmp_path):
        for line in (
            ["train", *OWN, "--policy", "odd"],
            ["search", *OWN, "--start", "odd"],
            ["compare", *OWN, "--methods", "policy", "--policy", "odd"],
            ["train", "--csv", "odd", "--targets", "a,b"],
            ["search", "--algorithm", "regression", "--runs", "odd"],
            ["mixture", "fit", "odd", "--out", "new.json"],
            ["mixture", "choose", "odd", "--out", "new.json"],
        ):
            assert refused(line, Path("odd")), line
