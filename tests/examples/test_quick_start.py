"""Every cell of the quick-start notebook runs, in order, in an empty folder; what it shows is what it says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

NOTEBOOK = Path(__file__).resolve().parents[2] / "examples" / "quick_start.ipynb"


def test_its_cells_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    content = json.loads(NOTEBOOK.read_text())
    assert (content["nbformat"], content["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in content["cells"]}) == len(content["cells"])
    names: dict[str, Any] = {"__name__": "__main__"}
    threads = torch.get_num_threads()
    for number, cell in enumerate(content["cells"]):
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [], "committed without outputs: they are what the tests see"
            exec(compile("".join(cell["source"]), f"cell {number}", "exec"), names)
    torch.set_num_threads(threads)
    said = capsys.readouterr().out
    assert "best score" in said
    assert (tmp_path / "search" / "policy.json").exists()
    small = {name: names[name].evaluate("")["small"] for name in ("fresh", "plain")}
    assert small["fresh"] > small["plain"] + 0.05  # under uniform weights the small target is hardly learned
