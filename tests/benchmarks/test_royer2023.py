"""The results page of claims C1 to C4: its verdicts are those of its tables, its differences those of its rows."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest

from scalarize.analysis import claims
from scalarize.analysis.statistics import t_interval
from scalarize.studies import registry, study


def found(place: Path, data: str, values: list[float]) -> dict[str, Any]:
    """What a study leaves: one claim of one part, and a comparison of two methods."""
    place.mkdir()
    claims.table({("C4, pbt", ""): {"pbt over uniform": t_interval(values).at}}).frame.to_csv(place / "c.csv")
    numbers = {"pbt": (0.72, 48.01), "uniform": (0.7, 46.78)}
    rows = [
        {
            "method": m,
            "task": t,
            "mean": x,
            "low": x - 0.01,
            "high": x + 0.01,
            "paper": paper if t == "average" else None,
        }
        | {"rate": 0.1, "seeds": 3, "searches": 0, "trainings": 9}
        for m, (x, paper) in numbers.items()
        for t in ("average", "left")
    ]
    pd.DataFrame(rows).to_csv(place / "t.csv", index=False)
    kinds = {"c.csv": "claims", "t.csv": "comparison"}
    result: dict[str, Any] = {"target": "royer2023/table-1", "data": data, "minutes": 5, "out": str(place)}
    result |= {"question": f"On {data}?", "command": "scalarize reproduce x", "illustration": False, "runs": 20}
    result |= {"findings": [f"{data}: C4: 1."], "scaled": [], "seconds_runs": 120.0}
    tables = [{"file": f, "kind": kind, "title": kind, "note": ""} for f, kind in kinds.items()]
    return result | {"tables": tables}


def test_the_page_holds_verdicts_differences_and_times(benchmark: ModuleType, tmp_path: Path) -> None:
    text = benchmark.document(
        [found(tmp_path / "a", "tasks", [0.01, 0.011, 0.012]), found(tmp_path / "b", "sites", [-0.01, 0.0, 0.02])]
    )
    assert "| C4, pbt | tasks | 20 | 3 | supported |\n| C4, pbt | sites | 20 | 3 | undecided |" in text
    assert "| **C4, pbt** | together | 40 | | **undecided** |" in text
    assert "| royer2023/table-1 | tasks | 5 | 2.0 |" in text
    assert "| together | | 10 | 4.0 |" in text
    assert "| pbt | 72 | 71 | 73 | 2 | 48.01 | 1.23 |" in text
    assert "| uniform | 70 | 69 | 71 | 0 | 46.78 | 0 |" in text
    assert "Planned and not run: table-2 on rand-hie; figure-5 on rand-hie-sites;" in text
    assert "left" not in text
    assert text.index("| pbt | 72") < text.index("| uniform | 70")


def test_each_trial_is_a_request_that_can_be_planned(benchmark: ModuleType) -> None:
    assert {trial.target for trial in benchmark.PLAN} >= {"table-2", "figure-2", "figure-5"}
    assert sum(trial.minutes for trial in benchmark.PLAN) <= 120
    for trial in benchmark.PLAN:
        assert trial.seeds >= study.FEWEST_SEEDS
        assert registry.get(f"royer2023/{trial.target}")


def test_pairs_do_not_end_the_cells_of_a_table(benchmark: ModuleType) -> None:
    shown = benchmark.choose("gains", pd.DataFrame({"pair": ["a|b"], "size": ["s"], "p_star": [0.5]}))
    assert shown.to_dict("records") == [{"pair": "a + b", "size": "s", "p_star": 0.5}]


@pytest.mark.slow
def test_it_runs_to_its_end(benchmark: ModuleType, tmp_path: Path) -> None:
    words = ["--only", "figure-3", "--epochs", "1", "--seeds", "2"]
    benchmark.main([*words, "--out", str(tmp_path / "o"), "--write", str(tmp_path / "page.md")])
    text = (tmp_path / "page.md").read_text()
    assert "| C1 | rand-hie, any-mental + visits-other |" in text
    assert "**Illustration**" in text
    assert "--tasks any-mental,visits-other" in text
