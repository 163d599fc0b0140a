"""Every target of Kurin et al. 2022 on the fixture of its own workload; settings and axes as in scripts and paper."""

from __future__ import annotations

import importlib.util
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from scalarize.runs.request import TrainRequest
from scalarize.studies import registry, step_cost
from scalarize.studies.kurin2022 import reported
from tiny_workloads import context, reproduce, tabulated, target_of

PAPER = "kurin2022"
ROWS = ["unitary", "imtl", "mgda", "graddrop", "pcgrad", "rlw-dirichlet", "rlw-normal"]
ACTING = [row for row in ROWS if row != "imtl"]
FAST = ("kurin2022/figure-12", "celeba-resnet")
CASES = [(t.name, name) for t in registry.papers()[PAPER] for name in t.workloads]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all targets share, so that none trains what another has."""
    return tmp_path_factory.mktemp("kurin")


def kinds(frame: pd.DataFrame) -> dict[str, set[str]]:
    """Kind -> its rows."""
    return {str(kind): set(own["row"]) for kind, own in frame.groupby("kind")}


SMTOS, ALL = set(ROWS) - {"unitary"}, set(ROWS)
REGULARISED, PLAIN = {"regularised": ALL}, {"plain": ALL}
COURSES: dict[str, dict[str, set[str]]] = {  # the lines of each figure over epochs
    "figure-5": {"plain": ALL, "l2": {"unitary"}, "l2+": {"unitary"}, "regularised": {"unitary"}},
    "figure-6": {"plain": ALL, "l2": {"unitary"}, "l2+": {"unitary"}, "regularised": {"unitary"}},
    **{"figure-7": REGULARISED, "figure-8": REGULARISED, "figure-9": PLAIN, "figure-17": REGULARISED},
    "figure-12": {"regularised": {"unitary", "graddrop", "graddrop-agnostic"}},
    "figure-4": {"regularised": set(ACTING)},
    "figure-13": {"regularised": {"unitary", "imtl"}},
    "figure-16": {"rewards": {"at sampling", "moving average 0.0001", "moving average 0.001", "moving average 0.01"}},
    "actor-l2": {"actor l2": {"unitary", "pcgrad"}, "no actor l2": {"unitary", "pcgrad"}},
    "popart": {"raw rewards": {"unitary", "pcgrad", "unitary with PopArt"}},
    "replay": {"4x replay": {"unitary", "pcgrad"}, "1x replay": {"unitary", "pcgrad"}},
}


@pytest.mark.parametrize(
    ("target", "workload"),
    [case if case == FAST else pytest.param(*case, marks=pytest.mark.slow) for case in CASES],
)
def test_a_target_on_its_own_data(command: Any, place: Path, target: str, workload: str) -> None:
    if workload.startswith("mt") and importlib.util.find_spec("metaworld") is None:
        pytest.skip("the extra rl is not installed")
    study = reproduce(command, target, workload, place)
    assert all(len(frame) for kind, frames in study.tables.items() if kind != "claims" for frame in frames)
    assert len({entry["file"] for entry in study.result["tables"]}) == len(study.result["tables"])
    assert len(study.tables["claims"]) == 1  # the page ends with a verdict
    assert study.result["tables"][-1]["kind"] == "claims"
    for line in target_of(target).stated:
        assert f"{workload}: {line}" in study.result["scaled"]
    number = target.partition("/")[2]
    if number in COURSES:
        for frame in study.tables["bands"]:
            assert kinds(frame) == COURSES[number]
    if number in ("figure-1", "figure-2"):
        frame = study.table("comparison")
        assert frame.loc[frame["task"] == "average", "method"].tolist() == ROWS
        assert study.table("ratios")["method"].tolist() == ["bare", *ROWS]
    if number == "figure-3":
        titles = [e["title"] for e in study.result["tables"] if e["kind"] == "comparison"]
        metrics = ("segmentation miou", "segmentation pixel-accuracy", "depth absolute-error", "depth relative-error")
        assert titles == [*(f"Test split, {m}" for m in metrics), "Delta_m, test split"]
        assert study.table("ratios")["method"].tolist() == ["bare", *ROWS]
    if number == "figure-10":
        assert kinds(study.table("contrast")) == {"regularised": ALL, "plain": ALL}


def test_the_papers_numbers_of_runs(tmp_path: Path) -> None:
    for name, workload, runs in (
        ("figure-1", "multi-mnist", 7 * 10),
        ("figure-2", "celeba-resnet", 7 * 3),
        ("figure-3", "cityscapes", 7 * 3 + 2 * 3),  # and the two single-task models of Delta_m
        ("figure-5", "celeba-resnet", (7 + 3) * 3),
        ("figure-10", "celeba-resnet", 7 * 2 * 3),
        ("figure-12", "celeba-resnet", 3 * 3),
        ("figure-17", "cityscapes", 7 * 3),
    ):
        here = context(workload, tmp_path / workload)
        plan = target_of(f"{PAPER}/{name}").plan(here)
        assert len(plan) == runs, name
        recipes = [p.request.recipe(here.workload) for p in plan]
        sizes = {"multi-mnist": (100, 256), "celeba-resnet": (50, 128), "cityscapes": (100, 32)}[workload]
        assert {(r.epochs, r.batch_size) for r in recipes} == {sizes}
        rates = Counter(r.optimizer.lr for r in recipes)
        slow = {p.labels["row"] for p, r in zip(plan, recipes, strict=True) if r.optimizer.lr == 5e-4}
        if workload == "celeba-resnet":
            assert set(rates) == ({1e-3} if name == "figure-12" else {1e-3, 5e-4})
            assert slow <= {"imtl", "mgda"}
        else:
            assert set(rates) == ({1e-2} if workload == "multi-mnist" else {5e-4})


VALUES = dict(zip(ROWS, (0.9, 0.89, 0.8, 0.91, 0.905, 0.895, 0.92), strict=True))


def test_printed_averages_stand_beside_the_right_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def score(request: TrainRequest, task: str, split: str) -> float:
        row = request.method if request.method != "rlw" else f"rlw-{request.hyper['distribution']}"
        return VALUES[str(row)] + 0.001 * request.seed

    def timed(forward: Any, parameters: Any, candidates: Any, *others: Any, **more: Any) -> list[dict[str, Any]]:
        ratio = {"seconds": 0.1, "to_bare": 2.0, "to_bare_low": 1.0, "to_bare_high": 3.0}
        return [{"method": name, **ratio} for name in candidates]

    monkeypatch.setattr(step_cost, "measure", timed)
    here = context("celeba-resnet", tmp_path / "data", seeds=3, model__width=0.0625, batch_size=4)
    tables = tabulated(here, "kurin2022/figure-2", tmp_path / "runs", score)
    frame = tables["comparison"][0].frame
    average = frame[frame["task"] == "average"].set_index("method")
    assert average["mean"].to_dict() == pytest.approx({row: value + 0.001 for row, value in VALUES.items()})
    printed = average["paper"].dropna().to_dict()
    assert printed == {"unitary": 90.9, "mgda": 90.22, "pcgrad": 90.93, "graddrop": 90.98}
    times = tables["ratios"][0].frame.set_index("method")["paper"].dropna().to_dict()
    assert times == reported.TIMES["celeba-resnet"]
    verdict = tables["claims"][0]
    parts = verdict.frame.set_index("part")["mean"]
    assert parts["unitary plus one deviation between its seeds, minus rlw-normal"] == pytest.approx(-0.019)
    assert verdict.findings[0].rpartition(": ")[2] == "not supported."


def test_the_onset_is_the_best_epoch_of_validation(tmp_path: Path) -> None:
    """Plain training is best at epoch 2 and falls, every optimiser at epoch 4: the first row is not the best one."""
    epochs = 5

    def rows(request: TrainRequest) -> list[dict[str, Any]]:
        best = 2 if request.method == "unitary" and request.settings.get("optimizer.weight_decay") == 0 else 4
        found = []
        for epoch in range(1, epochs + 1):
            place = {"step": epoch, "epoch": epoch, "domain": "faces"}
            for task in here.data.names:
                metric = here.data.objectives[0].task.metric_name
                value = 0.9 - 0.01 * (epoch - best) ** 2 + 0.001 * request.seed
                found.append(place | {"split": "validation", "task": task, "metric": metric, "value": value})
                found.append(place | {"split": "train", "task": task, "metric": "loss", "value": 1.0 / epoch})
            norm = (3.0 if request.method in ("imtl", "mgda") else 1.0 + (request.method != "unitary")) / epoch
            norm += 0.01 * request.seed
            found.append(place | {"split": "train", "task": "all", "metric": "gradient-norm", "value": norm})
        return found

    here = context("celeba-resnet", tmp_path / "data", seeds=3)
    flat = {"score": lambda request, task, split: 0.9, "rows": rows}
    tables = tabulated(here, "kurin2022/figure-5", tmp_path / "five", **flat)
    onset = tables["onset"][0].frame
    best = onset[onset["what"] == "onset"].set_index(["row", "kind"])["mean"].to_dict()
    assert best == {(row, kind): 2.0 if (row, kind) == ("unitary", "plain") else 4.0 for row, kind in best}
    assert set(best) == {(row, "plain") for row in ROWS} | {("unitary", k) for k in ("l2", "l2+", "regularised")}
    # Differences are the same at every seed: the intervals have no length, and lie above 0.
    assert [line.rpartition(": ")[2] for line in tables["claims"][0].findings] == ["supported.", "supported."]
    norms = tabulated(here, "kurin2022/figure-6", tmp_path / "six", **flat)
    assert [line.rpartition(": ")[2] for line in norms["claims"][0].findings] == ["supported."]
    # 1 / 5 at the end is not below a tenth of a constant's loss, ln 2.
    fit = tabulated(here, "kurin2022/figure-9", tmp_path / "nine", **flat)
    assert [line.rpartition(": ")[2] for line in fit["claims"][0].findings] == ["supported.", "not supported."]
