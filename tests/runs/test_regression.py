"""``search --algorithm regression --runs``: a policy from a table, without a learner."""

from __future__ import annotations

import numpy as np
import pytest

from scalarize.runs import regression
from scalarize.utils.errors import RequestError
from scalarize.weights.policy import Policy


@pytest.fixture
def table(tmp_path):
    weights = np.random.default_rng(0).dirichlet(np.ones(3), size=40)
    accuracy, loss = np.log(weights[:, 0] + 0.02), np.exp(-3 * weights[:, 1])
    rows = [",".join(map(str, [*w, a, b])) for w, a, b in zip(weights, accuracy, loss, strict=True)]
    path = tmp_path / "runs.csv"
    path.write_text("\n".join(["weight:x,weight:y,weight:z,metric:acc,metric-:loss", *rows]) + "\n")
    return path


def test_table_becomes_a_policy_with_lineage_and_opinions(table, tmp_path):
    out = tmp_path / "out"
    result = regression.search(table, out=out, epochs=5)
    policy = Policy.load(out / "policy.json")
    assert (policy.tasks, policy.epochs) == (("x", "y", "z"), 5)
    assert policy.weights_at(0)[2] < 0.1  # z serves neither metric
    assert len((out / "lineage.jsonl").read_text().splitlines()) == 40
    assert {row["form"] for row in result["forms"]} > {"default", "log-linear", "ridge-log"}
    assert result["interval"][0] < result["score"] < result["interval"][1]
    only_loss = regression.search(table, score="loss=1", out=tmp_path / "loss")
    assert only_loss["weights"]["y"] > policy.weights_at(0)[1] + 0.1


def test_equal_tables_give_equal_bytes_and_resume_reads(table, tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    for out in (first, second):
        regression.search(table, out=out)
    for name in ("policy.json", "lineage.jsonl"):
        assert (first / name).read_bytes() == (second / name).read_bytes()
    with pytest.raises(RequestError, match="already holds"):
        regression.search(table, out=first)
    assert regression.search(table, out=first, resume=True)["policy"] == str(first / "policy.json")


def test_command_prints_one_object_and_warns_of_few_runs(table, command):
    table.write_text("\n".join(table.read_text().splitlines()[:4]) + "\n")
    answer = command("search", "--algorithm", "regression", "--runs", table, "--out", "out", "--json")
    assert answer.status == 0
    assert any("3 runs are too few for 3 tasks" in w for w in answer.json["warnings"])


def test_command_refuses_what_does_not_fit_a_table(table, command):
    for words, says in (
        (("--runs", table), "not by pbt"),
        (("rand-hie", "--algorithm", "regression", "--runs", table), "takes the place of a workload"),
    ):
        answer = command("search", *words)
        assert answer.status == 2
        assert says in answer.err
