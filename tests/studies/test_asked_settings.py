"""A setting asked for is used, or refused; one of a target's own that the workload lacks names the workload."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from scalarize import workloads
from scalarize.runs.request import WorkloadRequest
from scalarize.studies import asked_settings, budget, registry
from scalarize.studies.context import Context
from scalarize.studies.xin2022 import grids
from scalarize.tasks.kinds import multiclass
from scalarize.tasks.samples import TensorTable
from scalarize.tasks.task import Data, Domain
from scalarize.utils.errors import RequestError

SMALL = ("--budget", "tiny", "--epochs", 1, "--set", "batch_size=2048")


def context(name: str, **settings: Any) -> Context:
    """Two tasks in the place of a workload's data."""
    domain = Domain("d", {"train": TensorTable(torch.zeros(9, 1), {})})
    data = Data.multi_task((multiclass("left", 10), multiclass("right", 10)), domain)
    problem = WorkloadRequest(workload=name, settings=settings)
    return Context(problem, workloads.get(name), data, budget.parse("tiny"))


def checked(target: str, here: Context) -> list[str]:
    (found,) = registry.get(target)
    plan = found.plan(here)
    asked_settings.check(target, here, plan)
    return asked_settings.lines(here.problem.settings, plan)


def test_a_setting_that_every_run_replaces_is_refused_before_anything_is_trained(command: Any, tmp_path: Any) -> None:
    words = ("reproduce", "kurin2022/figure-9", "--workload", "rand-hie", *SMALL, "--set", "model.dropout=0.3")
    answer = command(*words, "--out", "o")
    assert answer.status == 2
    assert "--set model.dropout=0.3: every run of kurin2022/figure-9 sets its own" in answer.err
    assert not list(tmp_path.glob("o/runs/**/records.jsonl"))


def test_a_setting_that_some_runs_replace_is_said() -> None:
    here = context("celeba-resnet", **{"batch_size": 8, "optimizer.weight_decay": 0.5})
    (line,) = checked("kurin2022/figure-10", here)
    said = "optimizer.weight_decay=0.5 (in 7 of 14 runs; the others have their own)"
    assert line == f"settings: batch_size=8, {said}"
    assert checked("kurin2022/figure-1", context("multi-mnist")) == []


def test_a_setting_of_the_targets_own_that_the_workload_lacks_names_the_workload() -> None:
    # A target of what is learned by acting, on data that are not, but which has a learner of its own.
    with pytest.raises(RequestError, match=r"`workload` taskonomy-tiny: its model has no dropout to leave out"):
        checked("kurin2022/figure-10", context("taskonomy-tiny"))
    with pytest.raises(RequestError, match=r"`workload` multi-mnist: it has no setting model\.heads, which it sets"):
        asked_settings.check("it", context("multi-mnist"), grids.plan(context("cifar-stl", **{"model.heads": 3}), GRID))


GRID = grids.Grid("multi-mnist", (0.1,), "model.dropout", (0.1,), (0.5,))


def test_a_grid_has_no_axis_that_the_model_lacks() -> None:
    here = context("glyphs-tasks")
    plan = grids.plan(here, grids.MULTI_MNIST)
    asked_settings.check("it", here, plan)
    assert {p.labels["value"] for p in plan} == {0.0}
    assert {p.labels["rate"] for p in plan} == {0.001, 5.0}
    assert "dropout" not in plan[0].name
    faces = grids.plan(context("celeba-resnet"), grids.CELEBA)
    assert {p.request.recipe(workloads.get("celeba-resnet")).model["dropout"] for p in faces} == {0.0}


@pytest.mark.slow
def test_the_front_of_a_model_without_dropout_runs_to_its_end(command: Any) -> None:
    words = ("reproduce", "xin2022/figure-16", "--workload", "glyphs-tasks", "--budget", "tiny", "--epochs", 1)
    few = ("--set", "data.installed=false", "--set", "data.drawings=1", "--set", "batch_size=256")
    answer = command(*words, *few, "--out", "o", "--json")
    assert answer.status == 0, answer.err


def test_a_setting_around_which_the_target_sweeps_is_used_and_said() -> None:
    (target,) = registry.get("royer2023/tuning")
    here = context("multi-mnist", **{"optimizer.lr": 0.006})
    plan = target.plan(here)
    assert {run.request.settings["optimizer.lr"] for run in plan} == {0.06, 6e-5}  # of four, the first and the last
    asked_settings.check("it", here, plan, target.plan)
    said = "settings: optimizer.lr=0.006 (the values swept lie around it)"
    assert asked_settings.lines(here.problem.settings, plan) == [said]
    with pytest.raises(RequestError, match=r"sets its own"):
        asked_settings.check("it", here, plan)
