"""The main job from its command to its page, on the smaller workload."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.mark.slow
def test_the_main_job_ends_with_a_table_of_seven_rows_and_a_page(command: Any, tmp_path: Path) -> None:
    answer = command("demo", "--workload", "rand-hie-sites", "--out", "d", "--json")
    assert answer.status == 0
    rows = [r["method"] for r in answer.json["rows"]]
    assert rows == [
        "single",
        "uniform",
        "inverse-loss",
        "inverse-constant",
        "random-search",
        "policy",
        "policy-last",
    ]
    compared = [v for v in answer.json["verdicts"] if v.startswith("policy ")]
    assert len(compared) == 6
    assert all(any(f" {word} " in v for word in ("wins", "ties", "loses")) for v in compared)
    page = (tmp_path / "d/report.html").read_text()
    assert "scalarize demo" in page
    assert "http" not in page.replace("http://www.w3.org", "").replace("http-equiv", "")
    assert command("demo", "--workload", "rand-hie-sites", "--out", "d", "--resume", "--json").json == answer.json
