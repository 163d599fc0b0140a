"""Conflicting gradients are counted as they are, and looking changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from scalarize.learners.probes import Conflicts, SummedGradient
from scalarize.runs.request import TrainRequest
from scalarize.runs.train import train
from scalarize.utils import files


def test_pairs_conflict_where_the_cosine_is_negative() -> None:
    x = nn.Parameter(torch.tensor([1.0, 0.0]))
    probe = Conflicts(["a", "b", "c"])
    for sign in (1.0, -1.0, -1.0):
        losses = {"a": x[0], "b": sign * x[0] + x[1], "c": x[1] * 1.0}
        probe.look(losses, [x])
        losses["a"].backward(retain_graph=True)  # the graph is still there
    found = {r["task"]: r["value"] for r in probe.rows(3, 1) if r["metric"] == "conflict"}
    assert found == {"a|b": pytest.approx(2 / 3), "a|c": 0.0, "b|c": 0.0}
    assert probe.rows(3, 1) == []  # forgotten


def test_layers_are_counted_apart_and_absent_tasks_are_no_pair() -> None:
    first, second = nn.Parameter(torch.ones(1, 1)), nn.Parameter(torch.ones(1, 1))
    probe = Conflicts(["a", "b", "c"], layers=["first", "second"])
    probe.look({"a": (first + second).sum(), "b": (first - 2 * second).sum()}, [first, second])
    found = {(r["metric"], r["task"]): r["value"] for r in probe.rows(1, 1)}
    assert found == {("conflict", "a|b"): 1.0, ("conflict:first", "all"): 0.0, ("conflict:second", "all"): 1.0}


def test_a_task_without_gradient_is_no_pair() -> None:
    x = nn.Parameter(torch.ones(2))
    probe = Conflicts(["a", "b"])
    probe.look({"a": x.sum(), "b": torch.tensor(1.0)}, [x])
    assert probe.rows(1, 1) == []


def test_the_norm_is_that_of_the_sum_over_tasks() -> None:
    x, own = nn.Parameter(torch.tensor([1.0, 2.0])), nn.Parameter(torch.ones(1))
    probe = SummedGradient(every=2)
    for factor in (1.0, 9.0, 2.0):  # the second batch is not looked at
        losses = {"a": factor * x[0] + own.sum(), "b": 3 * factor * x[0] + 3 * factor * x[1]}
        probe.look(losses, [x])
        losses["b"].backward()  # the graph is still there
    (row,) = probe.rows(3, 1)
    assert (row["metric"], row["task"], row["value"]) == ("gradient-norm", "all", pytest.approx((5.0 + 10.0) / 2))
    assert probe.rows(3, 1) == []


@pytest.mark.parametrize("workload", ["rand-hie", "rand-hie-sites"])
def test_a_probe_changes_no_number(workload: str, tmp_path: Path) -> None:
    plain = TrainRequest(workload=workload, epochs=2, method="uniform", settings={"batch_size": 1024})
    probed = plain.model_copy(update={"probe_every": 2, "norm_every": 3, "read_train": True})
    a = train(plain, tmp_path / "a", "test")
    b = train(probed, tmp_path / "b", "test")
    assert a["test"] == b["test"]
    norms = [r for r in files.read_lines(tmp_path / "b" / "records.jsonl") if r["metric"] == "gradient-norm"]
    assert [r["epoch"] for r in norms] == [1, 2]
    assert all(r["value"] > 0 for r in norms)
    assert a.get("train") is None
    assert set(b["train"]) == set(b["test"])
    rows = [r for r in files.read_lines(tmp_path / "b" / "records.jsonl") if r["metric"] == "conflict"]
    tasks = len(a["test"]) - 1
    assert len(rows) == 2 * tasks * (tasks - 1) // 2
    assert {r["epoch"] for r in rows} == {1, 2}
    assert all(0 <= r["value"] <= 1 for r in rows)


def test_a_step_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Conflicts(["a", "b"], every=0)
