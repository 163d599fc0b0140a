"""A command resolves its request once: a table is read once and a policy parsed once, however many runs need them."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from scalarize import workloads
from scalarize.runs.build import Loader, prepare
from scalarize.runs.request import TrainRequest, WorkloadRequest, train_request
from scalarize.runs.search import HoldoutFactory
from scalarize.utils.errors import RequestError
from scalarize.weights.policy import Policy

OWN = ("--csv", "mine.csv", "--targets", "a,b", "--epochs", 2)


@pytest.fixture
def counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How often a table was read and a policy parsed; with a table and a policy at hand."""
    rows = "".join(f"{k % 2},{k * 7 % 10 / 3},{k * 3 % 11}\n" for k in range(60))
    (tmp_path / "mine.csv").write_text("a,b,x\n" + rows)
    Policy.constant({"a": 0.3, "b": 0.7}, 2).save(tmp_path / "p.json")
    found = {"tables": 0, "policies": 0}
    read, parse = pd.read_csv, Policy.from_dict.__func__  # type: ignore[attr-defined]

    def count(what: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **more: Any) -> Any:
            found[what] += 1
            return call(*arguments, **more)

        return counted

    monkeypatch.setattr(pd, "read_csv", count("tables", read))
    monkeypatch.setattr(Policy, "from_dict", classmethod(count("policies", parse)))
    return found


def test_a_training_reads_its_table_and_its_policy_once(command: Any, counts: dict[str, int]) -> None:
    answer = command("train", *OWN, "--policy", "p.json", "--out", "r")
    assert answer.status == 0, answer.err
    assert counts == {"tables": 1, "policies": 1}


def test_a_search_reads_its_table_and_its_start_once(command: Any, counts: dict[str, int]) -> None:
    words = ("search", *OWN, "--ready", 1, "--population", 4, "--start", "p.json")
    answer = command(*words, "--out", "s", "--json")
    assert answer.status == 0, answer.err
    assert answer.json["trainings"] > 1
    found = 1  # the policy that it found, to say the weights
    assert counts == {"tables": 1, "policies": 1 + found}


def test_a_retrain_reads_the_table_and_the_policy_once_for_all_seeds(command: Any, counts: dict[str, int]) -> None:
    assert command("search", *OWN, "--algorithm", "random", "--population", 2, "--out", "s").status == 0
    counts.update(tables=0, policies=0)
    answer = command("retrain", "s", "--seeds", 3, "--out", "t")
    assert answer.status == 0, answer.err
    assert counts == {"tables": 1, "policies": 1}


def test_a_comparison_reads_the_table_once_and_each_policy_once(command: Any, counts: dict[str, int]) -> None:
    rows = "uniform,single,inverse-loss,random-search,policy,policy-last"
    words = ("compare", *OWN, "--methods", rows, "--seeds", 2, "--searches", 2, "--population", 2)
    answer = command(*words, "--policy", "p.json", "--learning-rates", "0.001,0.01", "--out", "c")
    assert answer.status == 0, answer.err
    searches = 2 * 2  # of each, at each learning rate, the policy is read from its directory
    assert counts == {"tables": 1, "policies": 1 + searches}


def test_data_are_loaded_once_for_equal_settings_and_again_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    workload = workloads.get("rand-hie")
    loaded = []
    load = workload.load

    def counted(settings: Any, root: Path) -> Any:
        loaded.append(dict(settings))
        return load(settings, root)

    monkeypatch.setitem(workload.__dict__, "load", counted)
    loader = Loader()
    whole = WorkloadRequest(workload="rand-hie")
    prepare(whole, loader)
    two = prepare(whole.model_copy(update={"tasks": ("any-mental", "log-drugs")}), loader)
    assert two.data.names == ["any-mental", "log-drugs"]
    alone = prepare(train_request(whole, method="uniform", single="log-drugs"), loader)
    assert alone.data.names == ["log-drugs"]
    assert len(loaded) == 1
    other = prepare(whole.model_copy(update={"settings": {"data.split_seed": 3}}), loader)
    assert len(loaded) == 2
    assert other.recipe.data["split_seed"] == 3
    prepare(whole, Loader())
    assert len(loaded) == 3  # nothing outlives a loader


def test_a_loader_keeps_the_data_used_last(monkeypatch: pytest.MonkeyPatch) -> None:
    loader = Loader(kept=1)
    requests = [WorkloadRequest(workload="rand-hie", settings={"data.split_seed": k}) for k in (0, 1)]
    first = prepare(requests[0], loader).data
    assert prepare(requests[0], loader).data is first
    prepare(requests[1], loader)
    assert prepare(requests[0], loader).data is not first


def test_a_factory_is_sent_without_its_data() -> None:
    factory = HoldoutFactory(WorkloadRequest(workload="rand-hie"), 0.7)
    before = len(pickle.dumps(factory))
    assert factory.prepared.data.has("holdout")
    sent = pickle.dumps(factory)
    assert len(sent) == before
    again = pickle.loads(sent)
    assert again(seed=1).tasks == factory(seed=1).tasks


def test_a_request_holds_a_parsed_policy_and_is_written_as_its_content() -> None:
    policy = Policy.constant({"a": 0.25, "b": 0.75}, 3, {"found": {"score": 0.5}})
    given = TrainRequest(workload="w", policy=policy)
    assert given.policy is policy
    assert given.model_dump(mode="json")["policy"] == policy.to_dict()
    read = TrainRequest.read(json.loads(json.dumps(given.model_dump(mode="json"))), "config.yaml")
    assert read.policy == policy


def test_a_damaged_policy_in_a_request_is_named() -> None:
    with pytest.raises(RequestError, match=r"config.yaml: policy: .*not a policy"):
        TrainRequest.read({"workload": "w", "policy": {"format": "other"}}, "config.yaml")
