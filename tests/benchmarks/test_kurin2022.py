"""The results page says what its studies found, and under which command."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest


def test_the_page_holds_commands_findings_and_tables(benchmark: ModuleType, tmp_path: Path) -> None:
    frame = pd.DataFrame(
        [
            {
                "method": "unitary",
                "task": "average",
                "mean": 0.81234,
                "low": 0.8,
                "high": 0.82,
                "seeds": 3,
                "paper": None,
            },
            {"method": "unitary", "task": "left", "mean": 0.7, "low": 0.6, "high": 0.8, "seeds": 3, "paper": None},
        ]
    )
    frame.to_csv(tmp_path / "t.csv", index=False)
    result: dict[str, Any] = {
        **{"question": "Who wins?", "command": "scalarize reproduce x", "illustration": True, "runs": 21},
        **{"findings": ["w: nobody: 1."], "scaled": ["w: runs: 70 -> 21"], "seconds_runs": 7.0, "out": str(tmp_path)},
        "tables": [{"file": "t.csv", "kind": "comparison", "title": "Test average", "note": ""}],
    }
    text = benchmark.document([result])
    assert "## Who wins?\n\n    scalarize reproduce x\n\n- nobody: 1.\n" in text
    assert "| method | mean | low | high | seeds |" in text
    assert "| unitary | 0.8123 | 0.8 | 0.82 | 3 |" in text
    assert "left" not in text
    assert "Scaled: runs: 70 -> 21." in text
    assert "**Illustration**" in text
    assert "**Illustration**" not in benchmark.document([result | {"illustration": False}])


@pytest.mark.slow
def test_it_runs_to_its_end(benchmark: ModuleType, tmp_path: Path) -> None:
    words = ["--parts", "rand-hie", "--epochs", "1", "--seeds", "2"]
    benchmark.main([*words, "--out", str(tmp_path / "o"), "--write", str(tmp_path / "page.md")])
    text = (tmp_path / "page.md").read_text()
    assert text.count("\n    scalarize reproduce kurin2022/") == 5
    assert "| pcgrad |" in text
