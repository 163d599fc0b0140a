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
from scalarize.studies.kurin2022 import reinforcement
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
    imtl = [p.request for p in reinforcement.unstable(here) if p.labels["row"] == "imtl"]
    recipes = [request.recipe(here.workload) for request in imtl]
    assert {request.method for request in imtl} == {"imtl"}
    assert {(r.optimizer.lr, r.data["target_clip"]) for r in recipes} == {(3e-4, 1000.0)}
    many = [p.request for p in reinforcement.unstable(context("mt50")) if p.labels["row"] == "imtl"]
    assert {r.method for r in many} == {"imtl-g"}
    assert [r.recipe(workloads.get("mt50")).optimizer.lr for r in many] == pytest.approx([3e-5] * 10)
    assert len(reinforcement.scalings(here)) == 4 * 10


@pytest.mark.usefixtures("points")
@pytest.mark.parametrize("number", [4, 13, pytest.param(16, marks=pytest.mark.slow)])
def test_a_figure_runs_to_its_end(number: int, command: Any, tmp_path: Path) -> None:
    small = ("--set", "data.steps=4", "--set", "data.initial_steps=2", "--set", "batch_size=4")
    words = ("reproduce", f"kurin2022/figure-{number}", "--workload", "points", "--budget", "tiny")
    answer = command(*words, *small, "--out", "o", "--json")
    assert answer.status == 0, answer.err
    tables = {t["title"]: pd.read_csv(tmp_path / answer.json["out"] / t["file"]) for t in answer.json["tables"]}
    assert all(len(frame) for frame in tables.values())
    if number == 4:
        times = tables["Time of 10,000 updates"].set_index("method")
        assert times.loc["unitary", "ratio"] == 1
        assert (times["seconds"] > 0).all()
        assert set(times.index) == {row.name for row in reinforcement.ROWS}
    place = tmp_path / answer.json["out"]
    pictures = {path.stem for path in (place / "figures").glob("*.png")}
    assert len(pictures) == (place / "report.html").read_text().count('<figure data-chart="')
    assert len(pictures) >= len(tables)
    if number != 13:
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
