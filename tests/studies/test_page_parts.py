"""The head of a results page: verdicts with what speaks against them, machine time, and trials that were not run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reading import tables
from scalarize.analysis import claims
from scalarize.analysis.statistics import t_interval
from scalarize.studies import page_parts
from scalarize.studies.results_page import Trial


def found(place: Path, data: str, parts: dict[str, list[float]], *flaws: claims.Flaw) -> dict[str, Any]:
    """A study's result with one claim."""
    place.mkdir()
    key = ("norms are larger", "")
    table = claims.table({key: {name: t_interval(values).at for name, values in parts.items()}}, {key: flaws})
    table.frame.to_csv(place / "c.csv", index=False)
    result = {"target": "p/a", "data": data, "minutes": 5, "runs": 9, "seconds_runs": 90.0, "out": str(place)}
    return result | {"tables": [{"file": "c.csv", "kind": "claims"}]}


SMALLER = {"mgda minus unitary": [-2.0, -2.1, -2.2], "imtl minus unitary": [1.0, 1.1, 1.2]}


def test_a_verdict_names_the_parts_of_which_the_contrary_was_found(tmp_path: Path) -> None:
    against = found(tmp_path / "a", "w", SMALLER)
    (verdicts,) = tables("\n".join(page_parts.verdicts([against])))
    assert [(v["claim"], v["verdict"]) for v in verdicts] == [("norms are larger", "not supported")]
    assert verdicts[0]["why"] == "1 of 2 parts hold; contrary found: mgda minus unitary -2.1 [-2.35, -1.85]"
    several = {f"a|{k}": [-1.0, -1.1, -1.05] for k in range(6)}
    (verdicts,) = tables("\n".join(page_parts.verdicts([found(tmp_path / "b", "w", several)])))
    assert verdicts[0]["why"].endswith("and 2 more")


def test_what_forbids_a_verdict_stands_beside_it(tmp_path: Path) -> None:
    flawed = found(tmp_path / "a", "w", {"x": [1.0, 1.1, 1.2]}, claims.Flaw("at the edge"))
    plain = found(tmp_path / "b", "v", {"x": [1.0, 1.1, 1.2]})
    (verdicts,) = tables("\n".join(page_parts.verdicts([flawed, plain])))
    assert [(v["data"], v["verdict"], v["why"]) for v in verdicts] == [
        ("w", "undecided", "1 of 1 parts hold; at the edge"),
        ("v", "supported", "1 of 1 parts hold"),
        ("together", "undecided", ""),
    ]


def test_time_is_that_allocated_and_used_and_what_was_left_out_is_named(tmp_path: Path) -> None:
    one = found(tmp_path / "a", "w", SMALLER)
    trials = [
        Trial("a", "w", "?", "full", 1, minutes=5),
        Trial("b", "w", "?", "full", 1, minutes=7, model="ViT"),
        Trial("c", "v", "?", "full", 1, minutes=9, optional=True),
    ]
    _, minutes = tables("\n".join(page_parts.summary("p", trials, [one])))
    assert [list(m.values())[-2:] for m in minutes] == [["5", "1.5"], ["5", "1.5"]]
    assert page_parts.left_out("p", trials, [one])[1] == "Planned and not run: b on w, ViT (7 minutes)."
    assert page_parts.left_out("p", trials, [one | {"data": "v", "target": "p/c"}]) == []
    assert [t.place for t in trials] == ["w", "w-vit", "v"]
