"""Every target of Royer et al. 2023 on the shape of data it was made for: the paper's axes and values in its plan, the
choice where the data have no validation split, the printed numbers beside their rows, and a run of each to its end.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

import tiny_workloads as tiny
from scalarize.runs.request import TrainRequest
from scalarize.studies import registry
from scalarize.studies.royer2023 import reported
from scalarize.utils.errors import RunError

PAPER = "royer2023"
EVERY = [(t.name, w) for t in registry.papers()[PAPER] for w in t.workloads]
NO_VALIDATION = {"cifar-stl", "domainnet"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fixtures")


def plan(place: Path, target: str, workload: str, size: str = "full") -> list[Any]:
    here = tiny.context(workload, place / workload, size)
    return tiny.target_of(f"{PAPER}/{target}").plan(here)


def values(runs: list[Any], label: str) -> list[Any]:
    """The values of an axis, as the plan's labels have them."""
    return sorted({p.labels[label] for p in runs})


# --- the paper's axes ------------------------------------------------------------------------------------------------
VIT = {"depth": ["3", "6", "9"], "width": [0.25, 0.5, 0.75, 1.0]}
RESNET = {"depth": ["101", "26", "50"], "width": [0.25, 0.5, 1.0]}
DECODERS = {"depth": ["26"], "decoder": ["0", "2", "4"], "width": [0.5, 1.0]}
WEIGHTS = [round(0.1 * k, 1) for k in range(11)]
AXES: list[tuple[str, str, dict[str, Any], int]] = [
    ("tuning", "domainnet", {"rate": [0.0003, 0.003, 0.03, 0.3], "length": [30, 60, 90]}, 1),
    ("figure-2", "cifar-stl", {**VIT, "p": WEIGHTS, "pair": ["stl|cifar"]}, 3),
    ("figure-2", "domainnet", {**RESNET, "p": WEIGHTS}, 2),
    ("figure-2", "celeba-8", {**VIT, "p": WEIGHTS}, 3),
    ("figure-2", "taskonomy-tiny", {**DECODERS, "p": WEIGHTS}, 2),
    ("figure-3", "domainnet", {**RESNET, "pair": ["real|sketch"]}, 2),
    ("figure-3", "taskonomy-tiny", {**DECODERS, "pair": ["segment_unsup2d|depth_zbuffer"]}, 2),
    ("figure-B", "cifar-stl", {**VIT, "p": WEIGHTS}, 3),
    ("figure-C", "taskonomy-tiny", {**DECODERS, "pair": ["segment_unsup2d|depth_zbuffer"]}, 2),
    ("figure-D", "cifar-stl", {**VIT, "p": WEIGHTS}, 3),
    (
        "figure-4",
        "celeba",
        {
            "rate": [5e-4, 5e-3, 1e-2],
            "depth": ["3", "6", "9"],
            "width": [0.5, 0.75, 1.0],
            "method": ["pcgrad", "uniform"],
        },
        3,
    ),
    ("figure-5", "domainnet", {**RESNET, "batch": [256, 512, 1024], "rate": [0.01, 0.03, 0.09]}, 2),
    ("figure-5", "taskonomy-tiny", {"depth": RESNET["depth"], "decoder": ["0", "2", "4"], "batch": [256]}, 2),
    ("figure-E", "domainnet", {**RESNET, "batch": [256, 512, 1024], "rate": [0.0003, 0.003, 0.03, 0.3]}, 2),
    ("conflicts-and-accuracy", "celeba", {"rate": [5e-4, 5e-3, 5e-2], "depth": ["3", "9"], "width": [0.5, 1.0]}, 3),
    ("conflicts-and-accuracy", "domainnet", {**RESNET, "rate": [0.0003, 0.003, 0.03, 0.3], "batch": [512]}, 2),
    ("table-1", "domainnet", {"size": ["depth 26, width 0.25", "depth 26, width 1"]}, 2),
    ("table-B", "domainnet", {"size": ["depth 50, width 0.25", "depth 50, width 1"]}, 2),
    ("table-2", "celeba-8", {"size": ["depth 6, width 1", "depth 9, width 1"]}, 2),
    ("table-C", "celeba-8", {"size": [f"depth 6, width {w}" for w in ("0.25", "0.5", "1")]}, 2),
    ("table-D", "celeba-8", {"size": [f"depth 9, width {w}" for w in ("0.25", "0.5", "1")]}, 2),
    ("population-size", "celeba", {"population": [0, 6, 12, 24, 40], "ready": [0, 3, 5]}, 4),
    ("pbt-against-grid", "celeba", {"row": ["grid", "pbt"]}, 3),
]


@pytest.mark.parametrize(("target", "workload", "axes", "seeds"), AXES, ids=[f"{t}-{w}" for t, w, *_ in AXES])
def test_a_plan_has_the_papers_axes(place: Path, target: str, workload: str, axes: dict[str, Any], seeds: int) -> None:
    runs = plan(place, target, workload)
    assert {label: values(runs, label) for label in axes} == {label: sorted(v) for label, v in axes.items()}
    assert values(runs, "seed") == list(range(seeds))
    assert len({p.name for p in runs}) == len(runs)


def test_searches_have_the_papers_numbers(place: Path) -> None:
    asked = {
        (p.labels["row"], p.request.population, p.request.ready, p.request.quantile, p.request.split)
        for target, workload in (("table-1", "domainnet"), ("table-2", "celeba-8"))
        for p in plan(place, target, workload)
        if p.kind == "search"
    }
    both = {("pbt", 12, 3, 0.4, 0.7), ("pb2", 8, 3, 0.4, 0.7), ("random-search", 12, 3, 0.4, 0.7)}
    assert asked == both | {("pbt", 12, 5, 0.25, 0.7), ("random-search", 12, 5, 0.25, 0.7)}


def test_methods_of_the_tables_are_set_as_in_the_papers_code(place: Path) -> None:
    found = {p.labels["row"]: p.request for p in plan(place, "table-1", "domainnet") if p.kind == "training"}
    assert found["cagrad"].hyper == {"c": 0.5, "rescale": "square"}
    assert found["pcgrad"].hyper == {"reduction": "mean", "include_self": True}
    assert [r.settings.get("accumulate", 1) for r in (found["pcgrad"], found["imtl-l"])] == [4, 1]
    elsewhere = {p.labels["row"]: p.request for p in plan(place, "table-1", "rand-hie-sites") if p.kind == "training"}
    assert elsewhere["cagrad"].hyper == {}


# --- the choice without a validation split ---------------------------------------------------------------------------
CHOICES = [t for t, w, *_ in AXES if w in NO_VALIDATION and t not in ("figure-5", "figure-E", "conflicts-and-accuracy")]


@pytest.mark.parametrize(("target", "workload"), [(t, w) for t, w, *_ in AXES if t in CHOICES])
def test_every_training_among_which_is_chosen_is_scored_where_no_validation_split_is(
    place: Path, target: str, workload: str
) -> None:
    runs = plan(place, target, workload)
    scoring = {p.score_of: p for p in runs if p.score_of}
    if workload not in NO_VALIDATION:
        assert not scoring
        return
    alone = {p.name for p in runs if p.kind == "training" and p.labels.get("p") in (0.0, 1.0)}
    wanted = {p.name: p for p in runs if p.kind == "training" and not p.score_of and p.name not in alone}
    assert set(scoring) == set(wanted)
    for name, run in wanted.items():
        same = {"split", "read_train"}
        assert scoring[name].request.split == 0.7
        assert run.request.split is None
        assert scoring[name].request.model_dump(exclude=same) == run.request.model_dump(exclude=same)
        assert scoring[name].policy_of == run.policy_of


def favours(setting: str, best: Any) -> Any:
    """A score that is the better, the nearer a setting is to ``best``; on test the reverse, so test cannot choose."""

    def score(request: TrainRequest, task: str, split: str) -> float:
        value = request.weights[min(request.weights)] if setting == "p" and request.weights else None
        value = request.settings.get(setting) if setting != "p" else value
        near = -abs(math.log(value / best)) if value else -9.0
        return 0.5 + 0.01 * (near if split == "validation" else -near)

    return score


@pytest.mark.parametrize("best", [0.01, 0.03, 0.09])
def test_table_1_reports_the_learning_rate_of_the_best_score(place: Path, tmp_path: Path, best: float) -> None:
    here = tiny.context("domainnet", place / "domainnet", "full")
    tables = tiny.tabulated(here, f"{PAPER}/table-1", tmp_path, favours("optimizer.lr", best))
    for table in tables["comparison"]:
        assert set(table.frame["rate"]) == {best}
        assert "held-out 30% of the training set" in table.note
    frame = tables["comparison"][0].frame
    assert set(frame["seeds"]) == {2}
    average = frame[frame["task"] == "average"].set_index("method")
    assert average["paper"].dropna().to_dict() == reported.AVERAGES["table-1"]["depth 26, width 0.25"]
    assert set(average.index) == {
        *reported.AVERAGES["table-1"]["depth 26, width 0.25"],
        "random-search",
        "inverse-constant",
    }
    assert set(frame["task"]) == {"average", *here.data.names}


@pytest.mark.parametrize("best", [0.3, 0.03, 0.0003])
def test_the_sweep_of_the_baseline_names_the_best_score(place: Path, tmp_path: Path, best: float) -> None:
    here = tiny.context("domainnet", place / "domainnet")
    (table,) = tiny.tabulated(here, f"{PAPER}/tuning", tmp_path, favours("optimizer.lr", best))["tuning"]
    assert f"learning rate {best:g}," in table.findings[0]
    assert len(table.frame) == 12
    assert table.frame.loc[table.frame["score"].idxmax(), "rate"] == best


@pytest.mark.parametrize(("workload", "target"), [("cifar-stl", "figure-B"), ("cifar-stl", "figure-2")])
@pytest.mark.parametrize("best", [0.1, 0.9])
def test_the_weight_is_that_of_the_best_score(
    place: Path, tmp_path: Path, workload: str, target: str, best: float
) -> None:
    here = tiny.context(workload, place / workload, "tiny")
    tables = tiny.tabulated(here, f"{PAPER}/{target}", tmp_path, favours("p", best))
    star = round(1 - best, 1)  # the weight favoured is that of the task whose name comes first: cifar, the second one
    if target == "figure-2":
        assert set(tables["gains"][0].frame["p_star"]) == {star}
    else:
        assert tables["trade-off-grid"][0].findings[1].count(f": {star:g}") == 4


@pytest.mark.parametrize(
    ("target", "workload"), [("figure-2", "cifar-stl"), ("tuning", "domainnet"), ("table-1", "domainnet")]
)
def test_a_score_that_is_no_number_is_an_error_that_names_the_run(
    place: Path, tmp_path: Path, target: str, workload: str
) -> None:
    here = tiny.context(workload, place / workload, "tiny")
    runs = tiny.target_of(f"{PAPER}/{target}").plan(here)
    broken = [p for p in runs if p.score_of and isinstance(p.request, TrainRequest) and p.request.policy is None][-1]

    def score(request: TrainRequest, task: str, split: str) -> float:
        return math.nan if split == "validation" and request == broken.request else 0.5

    with pytest.raises(RunError, match="its score is no number") as error:
        tiny.tabulated(here, f"{PAPER}/{target}", tmp_path, score)
    assert str(error.value).startswith(f"{broken.score_of}: ")
