"""The results page of claims C1 to C4: its verdicts are those of its tables, its differences those of its rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from reading import tables
from scalarize.analysis import claims
from scalarize.analysis.statistics import t_interval
from scalarize.studies import study
from scalarize.studies.royer2023 import results_page
from scalarize.studies.royer2023.results_page import PAGE


def found(place: Path, data: str, values: list[float]) -> dict[str, Any]:
    """What a study leaves: one claim of one part, and a comparison of two methods."""
    place.mkdir()
    claims.table({("C4, pbt", ""): {"pbt over uniform": t_interval(values).at}}).frame.to_csv(place / "c.csv")
    numbers = {"pbt": (0.72, 48.01), "uniform": (0.7, 46.78)}
    more = {"rate": 0.1, "seeds": 3, "searches": 0, "trainings": 9}
    rows = [
        {"method": m, "task": t, "mean": x, "low": x - 0.01, "high": x + 0.01, **more}
        | {"paper": paper if t == "average" else None}
        for m, (x, paper) in numbers.items()
        for t in ("average", "left")
    ]
    pd.DataFrame(rows).to_csv(place / "t.csv", index=False)
    kinds = {"c.csv": "claims", "t.csv": "comparison"}
    result: dict[str, Any] = {"target": "royer2023/table-1", "data": data, "minutes": 5, "out": str(place)}
    result |= {"question": f"On {data}?", "command": "scalarize reproduce x", "illustration": False, "runs": 20}
    result |= {"findings": [f"{data}: C4: 1."], "scaled": [], "seconds_runs": 120.0}
    shown = [{"file": f, "kind": kind, "title": kind, "note": ""} for f, kind in kinds.items()]
    return result | {"tables": shown}


def test_the_page_holds_verdicts_differences_and_times(tmp_path: Path) -> None:
    results = [
        found(tmp_path / "a", "tasks", [0.01, 0.011, 0.012]),
        found(tmp_path / "b", "rand-hie-sites", [-0.01, 0.0, 0.02]),
    ]
    text = PAGE.document(results)
    verdicts, minutes, *others = tables(text)
    assert [(v["data"], v["runs"], v["seeds"], v["verdict"], v["why"]) for v in verdicts] == [
        ("tasks", "20", "3", "supported", "1 of 1 parts hold"),
        ("rand-hie-sites", "20", "3", "undecided", "0 of 1 parts hold"),
        ("together", "", "", "undecided", ""),
    ]
    assert {v["claim"] for v in verdicts} == {"C4, pbt"}
    assert [list(m.values())[-2:] for m in minutes] == [["5", "2.0"], ["5", "2.0"], ["10", "4.0"]]
    (compared, again) = [t for t in others if "over uniform" in t[0]]
    assert compared == again
    shown = [(r["method"], r["mean"], r["over uniform"], r["paper, over uniform"]) for r in compared]
    assert shown == [("pbt", "72", "2", "1.23"), ("uniform", "70", "0", "0")]
    assert "figure-5 on rand-hie-sites" in text  # planned, and not among what was found


def test_a_page_without_verdicts_so_far_is_written(tmp_path: Path) -> None:
    result = found(tmp_path / "a", "tasks", [0.01, 0.011, 0.012])
    result["tables"] = [t for t in result["tables"] if t["kind"] != "claims"]
    verdicts, minutes, *_ = tables(PAGE.document([result]))
    assert verdicts == []
    assert len(minutes) == 2


def test_its_trials_have_seeds_enough_and_fit_two_hours_and_a_half() -> None:
    assert {trial.target for trial in PAGE.trials} >= {"table-2", "figure-2", "figure-5"}
    assert sum(trial.minutes or 0 for trial in PAGE.trials) <= 150
    assert all(trial.seeds >= study.FEWEST_SEEDS for trial in PAGE.trials)


def test_pairs_do_not_end_the_cells_of_a_table() -> None:
    shown = results_page.choose("gains", pd.DataFrame({"pair": ["a|b"], "size": ["s"], "p_star": [0.5]}))
    assert shown is not None
    assert shown.to_dict("records") == [{"pair": "a + b", "size": "s", "p_star": 0.5}]
