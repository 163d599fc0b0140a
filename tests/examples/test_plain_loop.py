"""The example that changes three lines runs with methods of every kind, and learns both tasks."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "plain_loop.py"


@pytest.mark.parametrize("method", ["uniform", "dwa", "cagrad", "pcgrad"])
def test_both_losses_fall(method: str) -> None:
    history = runpy.run_path(str(EXAMPLE))["train"](method)
    assert set(history) == {"slope", "side"}
    for course in history.values():
        assert course[-1] < 0.7 * course[0]


def test_three_lines_were_changed() -> None:
    numbered = [line for line in EXAMPLE.read_text().splitlines() if any(f"# {k}. " in line for k in (1, 2, 3))]
    assert len(numbered) == 3
