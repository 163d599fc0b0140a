"""``train`` and ``policy`` as the contract states them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import fake_runs
from scalarize.weights.policy import Policy

SHORT = ("--epochs", 2, "--set", "batch_size=1024")


def test_train_answers_in_json_and_leaves_a_run(command: Any, tmp_path: Path) -> None:
    answer = command("train", "rand-hie", *SHORT, "--out", "r", "--json")
    assert answer.status == 0
    result = answer.json
    assert set(result) >= {"out", "workload", "method", "seed", "epoch", "validation", "test", "seconds"}
    assert set(result) >= {"skipped_steps", "solver_failures"}
    tasks = set(result["test"]) - {"average"}
    assert len(tasks) == 7
    assert result["test"]["average"] == pytest.approx(sum(result["test"][t] for t in tasks) / 7)
    assert result["method"] == "uniform"
    config = yaml.safe_load((tmp_path / "r/config.yaml").read_text())
    assert config["request"]["workload"] == "rand-hie"
    assert config["recipe"]["epochs"] == 2
    rows = [json.loads(line) for line in (tmp_path / "r/records.jsonl").read_text().splitlines()]
    assert all(set(r) == {"step", "epoch", "split", "domain", "task", "metric", "value"} for r in rows)
    assert {r["split"] for r in rows} == {"train", "validation", "test"}
    assert sum(r["split"] == "test" for r in rows) == 14  # read once: a metric and a loss a task
    torch.load(tmp_path / "r/checkpoints/selected.pt", weights_only=True)


def test_equal_runs_are_equal_bit_for_bit(command: Any, tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert command("train", "rand-hie", *SHORT, "--method", "rlw", "--seed", 3, "--out", name).status == 0
    assert (tmp_path / "a/records.jsonl").read_bytes() == (tmp_path / "b/records.jsonl").read_bytes()
    assert command("train", "rand-hie", *SHORT, "--method", "rlw", "--seed", 4, "--out", "c").status == 0
    assert (tmp_path / "a/records.jsonl").read_bytes() != (tmp_path / "c/records.jsonl").read_bytes()


def test_overwriting_is_refused_and_a_finished_run_is_read(command: Any, tmp_path: Path) -> None:
    first = command("train", "rand-hie-sites", "--epochs", 1, "--out", "r", "--json").json
    before = {p: p.read_bytes() for p in (tmp_path / "r").rglob("*") if p.is_file()}
    again = command("train", "rand-hie-sites", "--epochs", 1, "--out", "r")
    assert again.status == 2
    assert "--resume" in again.err
    other = command("train", "rand-hie-sites", "--epochs", 2, "--out", "r", "--resume")
    assert other.status == 2
    assert "epochs was 1, now 2" in other.err
    assert {p: p.read_bytes() for p in (tmp_path / "r").rglob("*") if p.is_file()} == before
    assert command("train", "rand-hie-sites", "--epochs", 1, "--out", "r", "--resume", "--json").json == first


def test_resume_starts_where_nothing_is(command: Any) -> None:
    assert command("train", "rand-hie-sites", "--epochs", 1, "--out", "new", "--resume").status == 0


def test_a_run_cut_short_goes_on_exactly(command: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from scalarize.learners.supervised import SupervisedLearner

    words = ("train", "rand-hie-sites", "--epochs", 4, "--method", "uncertainty")
    assert command(*words, "--out", "whole").status == 0
    monkeypatch.setattr("scalarize.runs.train.CHECKPOINT_SECONDS", 0.0)
    original = SupervisedLearner.train

    def cut(self: Any, policy: Any, until_epoch: int) -> None:
        if until_epoch == 3:
            raise KeyboardInterrupt
        original(self, policy, until_epoch)

    monkeypatch.setattr(SupervisedLearner, "train", cut)
    assert command(*words, "--out", "parts").status == 1
    assert not (tmp_path / "parts/result.json").exists()
    monkeypatch.setattr(SupervisedLearner, "train", original)
    assert command(*words, "--out", "parts", "--resume").status == 0
    assert (tmp_path / "parts/records.jsonl").read_bytes() == (tmp_path / "whole/records.jsonl").read_bytes()
    a, b = (json.loads((tmp_path / d / "result.json").read_text()) for d in ("parts", "whole"))
    assert a["test"] == b["test"]


WRONG = {
    "unknown workload": (("train", "rand-hei"), "did you mean 'rand-hie'"),
    "no workload": (("train",), "name a workload"),
    "unknown method": (("train", "rand-hie", "--method", "pcgrd"), "did you mean 'pcgrad'"),
    "unknown option": (("train", "rand-hie", "--methd", "x"), "--methd"),
    "unknown command": (("trian", "rand-hie"), "did you mean 'train'"),
    "two problems": (("train", "rand-hie", "--csv", "x.csv"), "exclude each other"),
    "a row of compare": (("train", "rand-hie", "--method", "inverse-loss"), "a row of `scalarize compare`"),
    "policy without a file": (("train", "rand-hie", "--method", "policy"), "--policy"),
    "empty weights": (("train", "rand-hie-sites", "--weights", ""), "'site-1' is not named"),
    "hyper without value": (("train", "rand-hie", "--hyper", "c"), "--hyper c: write key=value"),
    "a directory for a policy": (("train", "rand-hie", "--policy", "."), ".: is a directory"),
    "absent data": (("train", "cifar-stl", "--data", "none"), "none/cifar-10-batches-py/data_batch_1: put"),
    "no place to write": (("train", "rand-hie-sites", "--out", "/proc/none"), "/proc/none: cannot be written"),
    "threads 0": (("search", "rand-hie", "--threads-per-member", "0"), "--threads-per-member"),
    "a policy that no row uses": (
        ("compare", "rand-hie", "--methods", "uniform", "--policy", "p.json"),
        "is for the rows",
    ),
    "cost on no device": (("cost", "rand-hie-sites", "--device", "cpu:x"), "--device cpu:x"),
    "no learning rate": (("compare", "rand-hie", "--methods", "uniform", "--learning-rates", ""), "--learning-rates"),
    "a report in a file": (("report", ".", "--out", "p.json/x.html"), "p.json: is a file"),
    "a file to watch": (("watch", "p.json"), "p.json: is a file"),
    "a file to retrain": (("retrain", "p.json"), "p.json: is a file"),
    "two sources": (("train", "rand-hie", "--method", "mgda", "--single", "any-mental"), "exclude each other"),
    "unknown setting": (("train", "rand-hie", "--set", "optimizer.rate=1"), "unknown setting"),
    "setting of a wrong kind": (("train", "rand-hie", "--set", "epochs=many"), "epochs"),
    "setting without value": (("train", "rand-hie", "--set", "epochs"), "key=value"),
    "unknown task": (("train", "rand-hie", "--tasks", "any-mentl"), "did you mean 'any-mental'"),
    "unknown single": (("train", "rand-hie", "--single", "nothing-such"), "unknown task"),
    "weights of an unknown task": (("train", "rand-hie-sites", "--weights", "a=1"), "'a' is no task"),
    "a task without weight": (("train", "rand-hie-sites", "--weights", "site-1=1"), "'site-2' is not named"),
    "weights that are no numbers": (("train", "rand-hie-sites", "--weights", "site-1=x"), "NAME=NUMBER"),
    "missing policy": (("train", "rand-hie", "--policy", "none.json"), "none.json"),
    "epochs 0": (("train", "rand-hie", "--epochs", "0"), "--epochs"),
    "epochs text": (("train", "rand-hie", "--epochs", "ten"), "--epochs"),
    "unknown device": (("train", "rand-hie", "--device", "tpu9"), "--device tpu9: choose cpu"),
    "a device without numbers": (("train", "rand-hie", "--device", "meta"), "--device meta: choose cpu"),
    "data in a file": (("data", "get", "emoji", "--data", "p.json/x"), "p.json: is a file; choose another --data"),
    "unknown precision": (("train", "rand-hie", "--precision", "half"), "--precision half"),
    "hyper-parameter": (("train", "rand-hie", "--method", "cagrad", "--hyper", "d=1"), "hyper-parameter"),
}


@pytest.mark.parametrize("kind", WRONG)
@pytest.mark.parametrize("as_json", [False, True])
def test_wrong_requests_end_with_status_2_and_one_line(kind: str, as_json: bool, command: Any, tmp_path: Path) -> None:
    words, expected = WRONG[kind]
    Policy.constant(dict.fromkeys("abcdefg", 1.0)).save(tmp_path / "p.json")
    answer = command(*words, *(["--json"] if as_json else []))
    assert answer.status == 2
    if as_json:
        assert answer.json["status"] == 2
        assert expected in answer.json["error"]
    else:
        assert answer.out == ""
        assert expected in answer.err.strip().splitlines()[-1]
        assert answer.err.count("\n") <= 2
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(("words", "expected"), [((), "name a command: workloads, methods"), (("data",), ": get (")])
def test_no_command_is_one_line(words: tuple[str, ...], expected: str, command: Any) -> None:
    answer = command(*words)
    assert (answer.status, answer.out, answer.err.count("\n")) == (2, "", 1)
    assert expected in answer.err


NEGATIVE = ",".join(f"site-{k}=-1" for k in range(1, 7))


@pytest.mark.parametrize("weights", [NEGATIVE, NEGATIVE.replace("-1", "0").replace("site0", "site-"), "site-1=nan"])
def test_weights_must_be_a_ray_of_the_simplex(weights: str, command: Any) -> None:
    assert command("train", "rand-hie-sites", "--weights", weights).status == 2


def test_policy_closes_the_circle(command: Any, tmp_path: Path) -> None:
    words = ("train", "rand-hie", *SHORT)
    assert command(*words, "--method", "dwa", "--out", "r").status == 0
    found = command("policy", "r", "--json").json
    assert found["clipped"] == 0
    policy = json.loads((tmp_path / "r/policy.json").read_text())
    assert policy["epochs"] == 2
    assert policy["segments"][0]["scale"] == pytest.approx(7)
    assert command(*words, "--policy", "r/policy.json", "--out", "again").status == 0
    again = json.loads((tmp_path / "again/result.json").read_text())
    first = json.loads((tmp_path / "r/result.json").read_text())
    assert again["test"]["average"] == pytest.approx(first["test"]["average"], abs=0.02)


def test_what_is_unfinished_or_of_another_kind_is_named(command: Any, tmp_path: Path) -> None:
    fake_runs.search(tmp_path / "s")
    fake_runs.training(tmp_path / "r", "uniform", 0, 0.7)
    assert "s: holds a search; its policy is s/policy.json" in command("policy", "s").err
    held = command("search", "rand-hie", "--out", "r", "--resume")
    assert (held.status, "r: holds a training, not a search" in held.err) == (2, True)
    (tmp_path / "s/policy.json").unlink()
    for words in (("report", "s"), ("retrain", "s")):
        answer = command(*words)
        assert answer.status == 2
        assert "s/policy.json: missing (is the search finished? go on with --resume)" in answer.err


def test_a_method_without_weights_has_no_policy(command: Any) -> None:
    assert command("train", "rand-hie", *SHORT, "--method", "graddrop", "--out", "r").status == 0
    answer = command("policy", "r")
    assert answer.status == 2
    assert "no task weights" in answer.err


def test_fixed_weights_are_normalised(command: Any, tmp_path: Path) -> None:
    weights = ",".join(f"site-{k}={k}" for k in range(1, 7))
    assert command("train", "rand-hie-sites", "--epochs", 1, "--weights", weights, "--out", "r").status == 0
    command("policy", "r")
    policy = json.loads((tmp_path / "r/policy.json").read_text())
    assert policy["segments"][0]["weights"] == pytest.approx([k / 21 for k in range(1, 7)])
