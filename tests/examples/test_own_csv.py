"""The example of a table of one's own ends with a report, in an empty folder."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "own_csv.py"


@pytest.mark.slow
def test_a_table_is_searched_compared_and_reported(tmp_path: Path) -> None:
    page = runpy.run_path(str(EXAMPLE))["main"](tmp_path / "own")
    text = page.read_text()
    assert "returned" in text
    assert "spent" in text
    assert (tmp_path / "own" / "search" / "policy.json").exists()
