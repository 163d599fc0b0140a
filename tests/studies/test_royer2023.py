"""Every target runs to its end at the smallest budget, and a second call reads what is there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from scalarize.studies import registry

PAPER = "royer2023"
SMALL = ("--budget", "tiny", "--epochs", 1, "--set", "batch_size=2048")
FAST = {  # target -> the workload on which it is tried here
    "figure-3": "rand-hie-sites",
    "pbt-against-grid": "rand-hie",
    "tuning": "rand-hie-sites",
    "figure-A": "rand-hie",
    "cost": "rand-hie",
}
REST = sorted({t.name.partition("/")[2] for t in registry.papers()[PAPER]} - set(FAST))


SLOW = [pytest.param(target, "rand-hie-sites", marks=pytest.mark.slow) for target in REST]


@pytest.mark.parametrize(("target", "workload"), [*FAST.items(), *SLOW])
def test_a_target_runs_to_its_end(command: Any, tmp_path: Path, target: str, workload: str) -> None:
    words = ("reproduce", f"{PAPER}/{target}", "--workload", workload, *SMALL, "--out", "o", "--json")
    answer = command(*words)
    assert answer.status == 0, answer.err
    result = answer.json
    assert result["illustration"] is (result["runs"] > 0)
    assert any("illustration" in line for line in result["findings"]) is (result["runs"] > 0)
    assert result["runs"] == 0 or any("runs:" in line for line in result["scaled"])
    assert any(line.startswith(f"{workload}: data: ") and line.endswith(f" -> {workload}") for line in result["scaled"])
    tables = [pd.read_csv(tmp_path / result["out"] / t["file"]) for t in result["tables"]]
    assert tables
    assert all(len(t) for t in tables)
    assert "<script" in Path(result["report"]).read_text()
    assert list((tmp_path / result["out"] / "figures").glob("*.png"))


def test_a_study_reads_the_runs_that_are_there(command: Any, tmp_path: Path) -> None:
    words = ("reproduce", f"{PAPER}/figure-3", "--workload", "rand-hie-sites", *SMALL, "--out", "o")
    first = command(*words, "--json").json
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "o/runs").rglob("*.json*")}
    assert len([p for p in before if p.name == "result.json"]) == first["runs"]
    refused = command(*words)
    assert refused.status == 2
    assert "--resume" in refused.err
    missing = next(p for p in before if p.name == "result.json")
    missing.unlink()
    again = command(*words, "--resume", "--json").json
    assert [t["file"] for t in again["tables"]] == [t["file"] for t in first["tables"]]
    after = {p: p.stat().st_mtime_ns for p in (tmp_path / "o/runs").rglob("*.json*")}
    assert {p for p in before if after[p] != before[p]} <= set(missing.parent.iterdir())
    assert {k: v for k, v in again.items() if "seconds" not in k} == {
        k: v for k, v in first.items() if "seconds" not in k
    }
    # Another target of the same folder needs no training that is there already.
    command("reproduce", f"{PAPER}/figure-D", "--workload", "rand-hie-sites", *SMALL, "--out", "o")
    shared = set((tmp_path / "o/runs").rglob("result.json"))
    assert shared == {p for p in after if p.name == "result.json"}


def test_the_list_names_one_target_a_line(command: Any) -> None:
    answer = command("reproduce", PAPER, "--list")
    names = [line.split()[0] for line in answer.out.splitlines()]
    assert names == [t.name for t in registry.papers()[PAPER]]
    assert {f"{PAPER}/figure-2", f"{PAPER}/table-D", f"{PAPER}/figure-F"} <= set(names)
    every = [t["name"] for t in command("reproduce", "--list", "--json").json["targets"]]
    assert [name for name in every if name.startswith(f"{PAPER}/")] == names


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("royer2032",), "royer2023"),
        (("royer2023/figure-22",), "figure-2"),
        (("royer2023/figure-2", "--budget", "huge"), "tiny"),
        (("royer2023/figure-2", "--workload", "rand-hi"), "rand-hie"),
        (("royer2023/figure-2", "--workload", "multi-mnist"), "multi-mnist"),
        (("royer2023/figure-2", "--seeds", "0"), "--seeds"),
        ((), "--list"),
    ],
)
def test_wrong_requests_are_one_line(command: Any, words: tuple[str, ...], said: str) -> None:
    answer = command("reproduce", *words)
    assert answer.status == 2
    assert said in answer.err
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize("paper", registry.papers())
def test_no_paper_is_named_outside_its_studies(paper: str) -> None:
    root = Path(registry.__file__).parents[1]
    naming = {path.relative_to(root).parts[:2] for path in root.rglob("*.py") if paper in path.read_text()}
    assert naming == {("studies", paper)}
