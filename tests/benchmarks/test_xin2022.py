"""The results page of the translation study says what was found, and under which command."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest

from scalarize.studies import registry


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


def test_learning_rates_are_swept_where_they_are_the_axis(
    benchmark: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, dict[str, Any], int | None]] = []

    def seen(target: Any, request: Any, *others: Any) -> dict[str, Any]:
        if len(asked) == 2:
            raise KeyboardInterrupt
        asked.append((target.name, request.settings, request.seeds))
        return {"out": str(tmp_path), "target": target.name}

    monkeypatch.setattr(benchmark.study, "run", seen)
    monkeypatch.setattr(benchmark.page, "build", lambda path: None)
    monkeypatch.setattr(benchmark, "document", lambda found: f"{len(found)} found")
    page = tmp_path / "page.md"
    words = ["--set", "optimizer.lr=0.1", "--set", "batch_size=64", "--write", str(page), "--out", str(tmp_path / "o")]
    with pytest.raises(KeyboardInterrupt):
        benchmark.main([*words, "--only", "figure-2", "--only", "figure-6-left", "--only", "figure-5"])
    assert asked[0] == ("xin2022/figure-2", {"optimizer.lr": 0.1, "batch_size": 64}, 2)
    assert asked[1] == ("xin2022/figure-6-left", {"batch_size": 64}, benchmark.SEEDS)
    assert page.read_text() == "2 found"  # written as it goes


def test_its_targets_exist(benchmark: ModuleType) -> None:
    for questions in benchmark.QUESTIONS.values():
        for name in questions:
            assert registry.get(f"xin2022/{name}")
