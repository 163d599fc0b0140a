"""The results page of the translation study says what was found, and under which command."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd

from scalarize.studies import targets


def test_the_page_holds_commands_findings_and_tables(benchmark: ModuleType, tmp_path: Path) -> None:
    pd.DataFrame(
        [
            {"row": "scalarization", "weight": 0.1, "rate": 0.5, "seed": 0, "x": 1.23456, "y": 2.0, "line": True},
            {"row": "mgda", "weight": None, "rate": 0.5, "seed": 0, "x": 3.0, "y": 4.0, "line": True},
        ]
    ).to_csv(tmp_path / "t.csv", index=False)
    result: dict[str, Any] = {
        **{"question": "Who wins?", "command": "scalarize reproduce x", "illustration": True, "runs": 2},
        **{"findings": ["w: nobody: 1."], "scaled": ["w: runs: 54 -> 2"], "seconds_runs": 7.0, "out": str(tmp_path)},
        "tables": [{"file": "t.csv", "kind": "two-tasks", "title": "Test loss", "note": ""}],
    }
    text = benchmark.document([result])
    assert "## Who wins?\n\n    scalarize reproduce x\n\n- nobody: 1.\n" in text
    assert "| scalarization | 0.1 | 0.5 | 0 | 1.235 | 2 | True |" in text
    assert "| mgda |  | 0.5 | 0 | 3 | 4 | True |" in text
    assert "Scaled: runs: 54 -> 2." in text
    assert "**Illustration**" in text
    assert "**Illustration**" not in benchmark.document([result | {"illustration": False}])


def test_its_targets_exist(benchmark: ModuleType) -> None:
    for questions in benchmark.QUESTIONS.values():
        for name in questions:
            assert targets.get(f"xin2022/{name}")
