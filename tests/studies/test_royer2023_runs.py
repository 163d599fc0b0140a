"""Every target of Royer et al. 2023 run to its end on the fixture of its own workload, at toy size."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import tiny_workloads as tiny
from scalarize import workloads
from scalarize.studies import registry
from scalarize.studies.royer2023 import cost, reported
from scalarize.workloads import Workload

PAPER, DOMAINS = "royer2023", "domainnet"
SMALLEST = {  # targets that sweep no size: of the smallest model
    "tuning": ("domainnet", {"model.depth": 26, "model.width": 0.25}),
    "figure-3": ("taskonomy-tiny", {"model.width": 0.5}),
    "pbt-against-grid": ("celeba", {"model.depth": 3, "model.width": 0.25}),
}
SMALL_VIT = {"model.depth": 3, "model.width": 0.25}
MORE = {"population-size": SMALL_VIT, "cost": SMALL_VIT}
FAST = {(f"{PAPER}/{target}", workload) for target, (workload, _) in SMALLEST.items()}  # one of each shape of data
EVERY = [(t.name, w) for t in registry.papers()[PAPER] for w in t.workloads]
PARAMETERS = [
    pytest.param(t, w, marks=() if (t, w) in FAST else pytest.mark.slow, id=f"{t.rpartition('/')[2]}-{w}")
    for t, w in EVERY
]


def only(frame: pd.DataFrame, **wanted: Any) -> pd.DataFrame:
    for column, value in wanted.items():
        frame = frame[frame[column] == value]
    return frame


def gains(study: tiny.Study, workload: str) -> None:
    frame = study.table("gains")
    sizes = 2 if (study.result["target"], workload) in FAST else 4
    assert set(frame.groupby("pair")["size"].nunique()) == {sizes}
    assert set(frame["p_star"]) <= {0.1, 0.5, 0.9}
    claimed = set(study.table("claims")["claim"])
    assert claimed == {"C1", "C2", "C2, rarely even", "generalization"}


def grid(study: tiny.Study, workload: str) -> None:
    frame = study.table("trade-off-grid")
    assert set(frame.groupby("size")["p"].nunique()) == {3}  # 0.1, 0.5 and 0.9 of each size, beside single-task models
    assert frame[["base_first_test", "base_second_test"]].notna().all().all()


def axes(study: tiny.Study, workload: str) -> None:
    frame = study.table("conflict-axes").set_index("axis")
    name = {"domainnet": "paper, domainnet", "taskonomy-tiny": "paper, taskonomy"}[workload]
    printed = {axis: beside[name] for axis, beside in reported.CONFLICT_VARIANCE.items() if name in beside}
    assert frame[name].dropna().to_dict() == printed
    assert printed == {"depth": 2.63, "decoder": 5.06, "width": 1.73, "rate": 47.6} or workload == "domainnet"
    assert {"layer", "weights"} <= set(frame.index)
    names = workloads.get(workload).objectives
    pairs = study.table("conflict-pairs")  # of domains only those that met in the few samples of a step
    assert {*pairs["a"], *pairs["b"]} <= set(names)
    assert len(pairs) == len(names) * (len(names) - 1) / 2 or workload == "domainnet"
    assert {"C3", "C3, layers"} == set(study.table("claims")["claim"])


def course(study: tiny.Study, workload: str) -> None:
    frame = study.table("conflict-course")
    assert {"batch", "depth", "width", "rate"} <= set(frame.columns)
    assert frame["share"].between(0, 1).all()
    assert study.table("claims")["claim"].iloc[0] == "C3, towards the end"


def by_accuracy(study: tiny.Study, workload: str) -> None:
    course(study, workload)
    frame = study.table("conflict-accuracy")
    assert set(frame["epoch"]) == {1, 2}  # a point an epoch, also where nobody published a validation split
    assert frame["score"].between(0, 1).all()


def table(study: tiny.Study, workload: str) -> None:
    frame = study.tables["comparison"][0]
    average = frame[frame["task"] == "average"].set_index("method")
    assert set(average["seeds"]) == {1}
    assert {"uniform", "pbt", "random-search", "inverse-constant", "cagrad", "pcgrad"} <= set(average.index)
    known = reported.AVERAGES[study.result["target"].rpartition("/")[2]]
    assert average["paper"].dropna().to_dict() in list(known.values())


def sweep(study: tiny.Study, workload: str) -> None:
    frame = study.table("tuning")
    assert sorted(map(tuple, frame[["rate", "length"]].to_numpy())) == [(3e-4, 1), (3e-4, 3), (0.3, 1), (0.3, 3)]
    assert frame[["validation", "test", "score"]].notna().all().all()
    assert study.result["runs"] == 8  # four settings, each with the training that scores it


def measured(study: tiny.Study, workload: str) -> None:
    sizes = study.table("memory")[["size", "batch"]].drop_duplicates()
    assert list(map(tuple, sizes.to_numpy())) == [("depth 18, width 1", 16), ("depth 50, width 1", 128)]


def costs(study: tiny.Study, workload: str) -> None:
    frame = study.table("cost").set_index("method")
    assert {"uniform", "uncertainty", "pcgrad", "rotograd", "graddrop"} <= set(frame.index)
    assert set(frame.loc["rotograd", "backward"]) == {"T"}
    assert set(study.table("theory")["row"]) == set(reported.COSTS)


def against_grid(study: tiny.Study, workload: str) -> None:
    frame = study.table("rows").set_index("row")
    assert set(frame.index) == {"grid", "pbt"}
    assert frame.loc["grid", "trainings a seed"] == 2


FACTS: dict[str, Callable[[tiny.Study, str], None]] = {
    "tuning": sweep,
    **dict.fromkeys(("figure-2", "figure-3"), gains),
    **dict.fromkeys(("figure-B", "figure-C"), grid),
    **dict.fromkeys(("figure-4", "figure-E"), course),
    "figure-5": axes,
    "conflicts-and-accuracy": by_accuracy,
    **dict.fromkeys(("table-1", "table-2", "table-B", "table-C", "table-D"), table),
    "figure-1b": measured,
    "cost": costs,
    "pbt-against-grid": against_grid,
}


def narrow(name: str) -> Workload:
    """The workload with sizes of the same names, whose ResNets have an eighth of the width."""
    known, key = workloads.get(name), "model.width"
    sizes = [dataclasses.replace(s, settings=s.settings | {key: s.settings[key] / 8}) for s in known.sizes]
    return dataclasses.replace(known, sizes=tuple(sizes))


@pytest.mark.parametrize(("target", "workload"), PARAMETERS)
def test_a_target_runs_to_its_end_on_its_own_data(
    command: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str, workload: str
) -> None:
    name = target.rpartition("/")[2]
    if workload in ("domainnet", "taskonomy-tiny") and (target, workload) not in FAST:
        monkeypatch.setitem(workloads._all(), workload, narrow(workload))
        small = [dataclasses.replace(s, settings=s.settings | {"model.width": 1 / 8}) for s in cost.FIGURE_1B[DOMAINS]]
        monkeypatch.setitem(cost.FIGURE_1B, DOMAINS, tuple(small))
    settings = SMALLEST[name][1] if (target, workload) in FAST else MORE.get(name, {})
    epochs = 2 if name == "conflicts-and-accuracy" else 1
    study = tiny.reproduce(command, target, workload, tmp_path, *tiny.words(settings), epochs=epochs)
    assert all(len(frame) for frames in study.tables.values() for frame in frames)
    assert not [line for line in study.result["scaled"] if " data: " in line]  # it is the paper's own data
    assert list((Path(study.result["out"]) / "figures").glob("*.png"))
    if name in FACTS:
        FACTS[name](study, workload)
