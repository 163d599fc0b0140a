"""results/search-real.md: its verdicts and shares from rows whose answers are known; no search is made."""

from __future__ import annotations

import re
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from scalarize.utils import files

PATH = Path(__file__).resolve().parents[2] / "results/search_real.py"


def runs(name: str, values: list[float]) -> list[dict[str, Any]]:
    """Two retrains of each of several searches."""
    return [
        {"method": name, "group": unit, "seed": 1000 + j, "average": v, "test": {"a": v}, "trainings": 1}
        for unit, v in enumerate(values)
        for j in range(2)
    ]


def test_claims_are_judged_and_a_quarter_is_a_share(
    benchmark: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "rand-hie"
    found = {
        "uniform": [0.60, 0.61, 0.62],
        "random": [0.70, 0.71, 0.73],
        "pbt": [0.70, 0.72, 0.72],
        "pb2": [0.71, 0.72, 0.73],
        "random x 4": [0.70, 0.70, 0.70],
    }
    for name, values in found.items():  # one search fewer of the long random search
        values = values[: 2 if name == "random x 4" else None]
        files.write_json(out / "rows" / f"{benchmark.place(name)}.json", runs(name, values))
        for unit in range(3):
            best = 0.8 if name == "random x 4" else 0.76
            rows = [{"epoch": 3, "score": 0.9, "metrics": [0.9]}, {"epoch": 12, "score": best, "metrics": [best]}]
            place = out / "searches" / f"{benchmark.place(name)}-split0-{unit}"
            place.mkdir(parents=True)
            files.append_lines(place / "lineage.jsonl", rows)
    benchmark.table(Namespace(out=str(tmp_path)))
    text = capsys.readouterr().out.replace("\n", " ")
    assert "- Searched weights over even ones: supported." in text
    assert "- Credit: exploitation over as many trainings at random: undecided." in text
    assert "Beyond the paper" not in text  # its rows were not run
    # of the members that trained to the end alone: 0.76 / 0.8
    assert "is 95.0 % [95.0, 95.0] of that search's; difference x 100: -4.00 [-4.00, -4.00] (2 searches)" in text
    assert text.index("2 searches a row over 1 splits.") < text.index("3 searches a row over 1 splits.")
    assert re.search(r"pbt +71\.00", text)  # of the two searches that all have
    assert re.search(r"pbt +71\.33", text)


def test_by_default_all_is_run_that_the_page_reports(benchmark: Any) -> None:
    def asked(**more: Any) -> Namespace:
        return Namespace(**{"workload": None, "rows": "", "searches": None} | more)

    page = (PATH.parent / "search-real.md").read_text()
    plan = benchmark.chosen(asked())
    for workload in ("rand-hie", "rand-hie-sites"):
        text = page.partition(f"## {workload}\n")[2].partition("\n## ")[0]
        shown = dict(re.findall(r"^(\S.*?)  +-?\d+\.\d+ ±.* (\d+) x 3", text, re.M))  # the last table counts
        rows = [(row.name, 3 * searches) for named, searches, own in plan if named == workload for row in own]
        assert len(rows) == len(dict(rows))
        assert {name: int(most) for name, most in shown.items()} | dict(rows) == dict(rows)
        assert set(shown) == set(dict(rows))
    assert [s for _, s, _ in benchmark.chosen(asked(workload="rand-hie", searches=1))] == [1]
    assert [(w, [r.name for r in own]) for w, _, own in benchmark.chosen(asked(rows="bo"))] == [
        ("rand-hie", ["bo"]),
        ("rand-hie-sites", ["bo"]),
    ]
