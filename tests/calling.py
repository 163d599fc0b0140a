"""The command line without a fixture: called where one test calls it many times."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import fake_runs
from scalarize import cli


def call(line: list[str]) -> tuple[int, str, str]:
    """Status, stdout and stderr."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as stop:
        cli.main(line)
    return int(stop.value.code or 0), out.getvalue(), err.getvalue()


@contextlib.contextmanager
def inside(place: Path) -> Iterator[None]:
    before = os.getcwd()
    os.chdir(place)
    try:
        yield
    finally:
        os.chdir(before)


def furnish(place: Path) -> None:
    """A table, a policy, runs measured elsewhere, and directories that hold something."""
    rows = "".join(f"{k % 2},{k * 7 % 10 / 3},{k * 3 % 11}\n" for k in range(60))
    (place / "mine.csv").write_text("a,b,x\n" + rows)
    (place / "runs.csv").write_text("weight:a,weight:b,metric:x\n0.2,0.8,0.5\n0.5,0.5,0.6\n0.9,0.1,0.4\n")
    fake_runs.compare(place / "held" / "comparison", tasks=("a", "b"), searches=1, seeds=1)
    fake_runs.search(place / "held" / "search", tasks=("a", "b"), members=2)
    fake_runs.training(place / "held" / "run", "mgda", 0, 0.7, tasks=("a", "b"))
    (place / "policy.json").write_bytes((place / "held" / "search" / "policy.json").read_bytes())
