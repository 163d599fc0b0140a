"""The figures of reinforcement learning: plans with the paper's settings, and each run to its end on two tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from scalarize import workloads
from scalarize.learners.rl.environments import Goals, played
from scalarize.runs.request import WorkloadRequest
from scalarize.studies import budget
from scalarize.studies.context import Context
from scalarize.studies.kurin2022 import ablations, reinforcement
from scalarize.tasks.task import Data, Domain, Objective


def context(name: str) -> Context:
    """A workload's context without its simulator."""
    workload = workloads.get(name)
    names = workload.objectives
    domains = {n: Domain(n, {"train": Goals(torch.arange(2))}) for n in names}
    data = Data(tuple(Objective(n, played(n, 4), n) for n in names), domains, 10)
    return Context(WorkloadRequest(workload=name), workload, data, budget.parse("full"))


def test_the_papers_settings() -> None:
    here = context("mt10")
    runs = reinforcement.compared(here)
    assert len(runs) == 6 * 10
    decay = {p.labels["row"]: p.request.recipe(here.workload).optimizer.weight_decay for p in runs}
    rlw = dict.fromkeys(("unitary", "rlw-dirichlet", "rlw-normal"), 3e-4)
    assert decay == {**rlw, "mgda": 0.0, "graddrop": 1e-4, "pcgrad": 1e-4}
    asked = {p.labels["row"]: p.request for p in runs}
    assert {row: (r.method, r.hyper) for row, r in asked.items()} == {
        "unitary": ("uniform", {}),
        "mgda": ("mgda", {"normalization": "l2", "applied_to": "normalized"}),
        "graddrop": ("graddrop", {"renormalize": True}),
        "pcgrad": ("pcgrad", {"reduction": "mean"}),
        "rlw-dirichlet": ("rlw", {"distribution": "dirichlet", "times_tasks": True}),
        "rlw-normal": ("rlw", {"distribution": "normal", "times_tasks": True}),
    }
    assert len(reinforcement.scalings(here)) == 4 * 10
    assert {p.request.recipe(here.workload).optimizer.weight_decay for p in reinforcement.scalings(here)} == {0.0}


@pytest.mark.parametrize(
    ("name", "batch", "lr", "clip", "decay"), [("mt10", 128, 3e-4, "rewards", 3e-4), ("mt50", 26, 3e-5, None, 0.0)]
)
def test_imtl_has_neither_bound_nor_l2_on_many_tasks(
    name: str, batch: int, lr: float, clip: str | None, decay: float
) -> None:
    here = context(name)
    requests = [p.request for p in reinforcement.unstable(here) if p.labels["row"] == "imtl"]
    assert {request.method for request in requests} == {"imtl-g"}
    for request in requests:
        recipe = request.recipe(here.workload)
        assert recipe.optimizer.lr == pytest.approx(lr)
        assert (recipe.data["target_clip"], recipe.optimizer.weight_decay, recipe.batch_size) == (clip, decay, batch)


def test_the_ablations_change_one_thing() -> None:
    here = context("mt10")

    def seen(runs: Any, key: str) -> dict[tuple[str, str], Any]:
        return {
            (p.labels["row"], p.labels["kind"]): p.request.recipe(here.workload).value(key)
            for p in runs
            if p.labels["seed"] == 0
        }

    decay = seen(ablations.actor_l2(here), "optimizer.weight_decay")
    with_l2, without = ablations.WITH, ablations.WITHOUT
    assert decay == {
        **{("unitary", with_l2): 3e-4, ("unitary", without): 0.0},
        **{("pcgrad", with_l2): 1e-4, ("pcgrad", without): 0.0},
    }
    sizes = seen(ablations.replays(here), "data.replay")
    assert {size for (_, kind), size in sizes.items() if kind == ablations.LARGE} == {400_000}
    assert {size for (_, kind), size in sizes.items() if kind == ablations.SMALL} == {100_000}
    assert set(seen(ablations.replays(here), "optimizer.weight_decay").values()) == {0.0}


def test_settings_asked_for_stand() -> None:
    plans = (reinforcement.compared, reinforcement.unstable, reinforcement.scalings, ablations.replays)
    for plan in plans:
        here = context("mt50")
        here.problem.settings.update({"optimizer.weight_decay": 0.25, "optimizer.lr": 0.125})
        for run in plan(here):
            optimizer = run.request.recipe(here.workload).optimizer
            assert (optimizer.weight_decay, optimizer.lr) == (0.25, 0.125), plan


@pytest.mark.usefixtures("points")
@pytest.mark.parametrize(
    "number",
    [
        "figure-4",
        "figure-13",
        *(pytest.param(x, marks=pytest.mark.slow) for x in ("figure-16", "actor-l2", "replay", "popart")),
    ],
)
def test_a_figure_runs_to_its_end(number: str, command: Any, tmp_path: Path) -> None:
    small = ("--set", "data.steps=4", "--set", "data.initial_steps=2", "--set", "batch_size=4")
    words = ("reproduce", f"kurin2022/{number}", "--workload", "points", "--budget", "tiny")
    answer = command(*words, *small, "--out", "o", "--json")
    assert answer.status == 0, answer.err
    tables = {t["title"]: pd.read_csv(tmp_path / answer.json["out"] / t["file"]) for t in answer.json["tables"]}
    assert all(len(frame) for frame in tables.values())
    assert answer.json["tables"][-1]["kind"] == "claims"
    if number == "figure-4":
        times = tables["Time of 10,000 updates"].set_index("method")
        assert times.loc["unitary", "ratio"] == 1
        assert (times["seconds"] > 0).all()
        assert set(times.index) == {row.name for row in reinforcement.ROWS}
    place = tmp_path / answer.json["out"]
    pictures = {path.stem for path in (place / "figures").glob("*.png")}
    assert len(pictures) == (place / "report.html").read_text().count('<figure data-chart="')
    assert len(pictures) >= len(tables) - 1  # claims are words
    if number in ("figure-4", "figure-16"):
        assert {"best-average-success-over-evaluations-points", "average-on-the-test-split-points"} < pictures


FEW = ("--set", "data.steps=12", "--set", "data.initial_steps=6", "--set", "batch_size=8")


@pytest.mark.usefixtures("points")
def test_a_run_that_diverges_is_said_in_the_findings(command: Any) -> None:
    words = ("reproduce", "kurin2022/figure-13", "--workload", "broken", "--budget", "tiny", "--epochs", 4)
    answer = command(*words, "--set", "data.rewards=none", *FEW, "--out", "o", "--json")
    assert answer.status == 0, answer.err
    lost = [line for line in answer.json["findings"] if "diverged" in line]
    assert any("unitary" in line and "'mirrored' is not finite" in line for line in lost)  # IMTL's targets are clipped


def test_supervised_workloads_are_refused(command: Any) -> None:
    answer = command("reproduce", "kurin2022/figure-4", "--workload", "rand-hie", "--budget", "tiny", "--out", "o")
    assert answer.status == 2
    assert "learned by acting" in answer.err
