"""``search``, ``retrain`` and ``compare`` as the contract states them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scalarize.runs.directory import read_config
from scalarize.search.entry import FOUND_BEFORE
from scalarize.search.sampling import Spread
from scalarize.weights.policy import Policy

SMALL = ("--epochs", 2, "--ready", 1, "--population", 4, "--set", "batch_size=512")


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_search_answers_and_leaves_policy_and_lineage(command: Any, tmp_path: Path) -> None:
    found = command("search", "rand-hie-sites", *SMALL, "--out", "s", "--json").json
    names = {"out", "algorithm", "score", "policy", "generations", "configurations", "trainings", "seconds"}
    assert set(found) >= names | {"seconds_training"}
    assert found["generations"] == 2
    policy = Policy.load(tmp_path / "s/policy.json")
    assert policy.epochs == 2
    assert policy.tasks == tuple(f"site-{k}" for k in range(1, 7))
    rows = lines(tmp_path / "s/lineage.jsonl")
    assert [(r["generation"], r["member"]) for r in rows] == [(g, m) for g in range(2) for m in range(4)]
    assert max(r["score"] for r in rows if r["generation"] == 1) == found["score"]
    config = (tmp_path / "s/config.yaml").read_text()
    assert "kind: search" in config


def test_equal_searches_give_equal_bytes_wherever_they_lie(command: Any, tmp_path: Path) -> None:
    for name in ("a", "b/c"):
        assert command("search", "rand-hie-sites", *SMALL, "--out", name).status == 0
    for file in ("policy.json", "lineage.jsonl"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b/c" / file).read_bytes()


def test_overwriting_resuming_and_other_requests(command: Any, tmp_path: Path) -> None:
    first = command("search", "rand-hie-sites", *SMALL, "--out", "s", "--json").json
    assert command("search", "rand-hie-sites", *SMALL, "--out", "s").status == 2
    assert command("search", "rand-hie-sites", *SMALL, "--out", "s", "--resume", "--json").json == first
    other = command("search", "rand-hie-sites", *SMALL, "--out", "s", "--resume", "--seed", 1)
    assert other.status == 2
    assert "seed was 0, now 1" in other.err


WRONG = {
    "quantile 0": (("--quantile", "0"), "quantile"),
    "quantile above a half": (("--quantile", "0.6"), "quantile"),
    "split 1": (("--split", "1"), "share"),
    "population 0": (("--population", "0"), "population"),
    "ready 0": (("--ready", "0"), "ready"),
    "unknown algorithm": (("--algorithm", "pbtt"), "did you mean 'pbt'"),
    "unknown score": (("--score", "best"), "score"),
    "score of an unknown task": (("--score", "sit-1=2"), "did you mean 'site-1'"),
    "gain without reference": (("--score", "gain"), "single-task"),
    "range": (("--also", "optimizer.lr=1:2"), "--also optimizer.lr"),
    "range of an unknown key": (("--also", "optimizer.rate=lin:0:1"), "unknown setting"),
    "range with a bad end": (("--also", "optimizer.lr=lin:-1:3"), "--also: optimizer.lr=-1"),
    "hyper-parameter of a wrong kind": (("--hyper", "factors=0.8"), "factors=0.8"),
    "part of a batch": (("--algorithm", "bo", "--hyper", "batch=1.5"), "whole batch"),
    "one domain": (("--tasks", "site-1"), "at least two"),
    "start": (("--start", "none.json"), "none.json"),
    "workers": (("--workers", "0"), "--workers"),
    "time": (("--max-time", "0"), "--max-time"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_wrong_searches_end_with_status_2_and_one_line(kind: str, command: Any, tmp_path: Path) -> None:
    words, expected = WRONG[kind]
    answer = command("search", "rand-hie-sites", *words, "--out", "s")
    assert answer.status == 2
    assert expected in answer.err
    assert answer.err.count("\n") == 1
    assert not (tmp_path / "s").exists()


def test_recipe_numbers_are_searched_beside_the_weights_from_the_recipes_own(command: Any, tmp_path: Path) -> None:
    also = ("--also", "optimizer.lr=log:1e-4:1e-2", "--also", "accumulate=lin:1:3", "--set", "optimizer.lr=0.004")
    words = ("search", "rand-hie-sites", *SMALL, *also, "--also", "optimizer.weight_decay=log:1e-3:1e-1")
    found = command(*words, "--set", "optimizer.weight_decay=0", "--out", "s", "--json").json["extras"]
    assert 1e-4 <= found["optimizer.lr"] <= 1e-2
    first = lines(tmp_path / "s/lineage.jsonl")[0]["extras"]
    assert first["optimizer.lr"] == 0.004
    assert first["accumulate"] == 1.0
    assert first["optimizer.weight_decay"] == pytest.approx(1e-2)  # 0 is outside: the middle
    for words, rate in (((), found["optimizer.lr"]), (("--set", "optimizer.lr=0.02"), 0.02)):
        answer = command("retrain", "s", "--epochs", 1, *words, "--json").json
        recipe = read_config(tmp_path / answer["out"] / answer["runs"][0])["recipe"]
        assert recipe["optimizer"]["lr"] == rate
        assert recipe["accumulate"] == round(found["accumulate"])
    answer = command("train", "rand-hie-sites", "--policy", "s/policy.json", "--epochs", 1, "--out", "t")
    assert f"optimizer.lr = {found['optimizer.lr']:g}" in answer.err
    assert read_config(tmp_path / "t")["recipe"]["optimizer"]["lr"] == found["optimizer.lr"]
    answer = command("search", "rand-hie-sites", *SMALL, *also, "--algorithm", "regression", "--out", "r")
    assert answer.status == 2
    assert "choose another algorithm" in answer.err


def test_start_begins_around_a_policy(command: Any, tmp_path: Path) -> None:
    weights = {f"site-{k}": float(k) for k in range(1, 7)}
    Policy.constant(weights).save(tmp_path / "start.json")
    assert command("search", "rand-hie-sites", *SMALL, "--start", "start.json", "--out", "s").status == 0
    first = lines(tmp_path / "s/lineage.jsonl")[0]
    assert first["weights"] == pytest.approx([k / 21 for k in range(1, 7)])
    width = json.loads((tmp_path / "s/search.json").read_text())["request"]["spread"]["width"]
    assert width == Spread().width / FOUND_BEFORE


@pytest.mark.parametrize("history", ["full", "last", "mean"])
def test_retrain_spends_a_policy(history: str, command: Any, tmp_path: Path) -> None:
    command("search", "rand-hie-sites", *SMALL, "--out", "s")
    answer = command("retrain", "s", "--history", history, "--seeds", 2, "--epochs", 3, "--json")
    (row,) = answer.json["rows"]
    assert row["seeds"] == 2
    assert len(row["tasks"]) == 6
    again = command("retrain", "s", "--history", history, "--seeds", 2, "--epochs", 3)
    assert again.status == 2
    run = next((tmp_path / "s").glob(f"retrain-{history}-*/runs/*seed0/result.json"))
    assert json.loads(run.read_text())["method"] == "policy"


def test_retrain_refuses_what_is_no_search(command: Any) -> None:
    assert "nothing: no such directory" in command("retrain", "nothing").err
    command("train", "rand-hie-sites", "--epochs", 1, "--out", "r")
    assert "holds a training, not a search" in command("retrain", "r").err


def test_compare_makes_one_table(command: Any, tmp_path: Path) -> None:
    command("search", "rand-hie-sites", *SMALL, "--out", "s0")
    command("search", "rand-hie-sites", *SMALL, "--seed", 1, "--out", "s1")
    rows = "single,uniform,inverse-loss,inverse-constant,random-search,policy,policy-last,policy-mean,mgda"
    words = ("compare", "rand-hie-sites", "--epochs", 2, "--methods", rows, "--policy", "s0/policy.json")
    words += ("--policy", "s1/policy.json", "--seeds", 2, "--searches", 2, "--population", 3, "--out", "c")
    table = command(*words, "--json").json
    assert [r["method"] for r in table["rows"]] == rows.split(",")
    assert all(set(r["average"]) >= {"mean", "low", "high"} for r in table["rows"])
    by_name = {r["method"]: r for r in table["rows"]}
    assert by_name["single"]["trainings"] == 12
    assert by_name["uniform"]["trainings"] == 2
    assert by_name["random-search"]["trainings"] == pytest.approx(2 * 3 * 0.7 + 4, abs=0.11)
    assert by_name["policy"]["searches"] == 2
    assert by_name["policy"]["trainings"] == pytest.approx(2 * 4 * 0.7 + 4, abs=0.11)  # what both searches cost, too
    assert len(table["verdicts"]) == 36
    assert "found" not in table
    again = command(*words, "--resume", "--json").json
    assert again == table


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--methods", "pcgrd"), "did you mean 'pcgrad'"),
        (("--methods", "policy"), "needs --policy"),
        (("--methods", ""), "--methods"),
        (("--methods", "uniform", "--seeds", 0), "--seeds"),
        (("--methods", "uniform", "--learning-rates", "fast"), "--learning-rates"),
        (("--methods", "uniform", "--learning-rates", "-1"), "--learning-rates"),
    ],
)
def test_wrong_comparisons(words: tuple[Any, ...], expected: str, command: Any, tmp_path: Path) -> None:
    answer = command("compare", "rand-hie-sites", *words)
    assert answer.status == 2
    assert expected in answer.err
    assert not (tmp_path / "runs").exists()


def test_learning_rates_are_chosen_on_validation_and_all_are_counted(command: Any, tmp_path: Path) -> None:
    words = ("compare", "rand-hie-sites", "--epochs", 2, "--methods", "uniform", "--learning-rates", "1e-6,3e-3")
    (row,) = command(*words, "--seeds", 2, "--out", "c", "--json").json["rows"]
    assert row["trainings"] == 4
    found = json.loads((tmp_path / "c/result.json").read_text())["found"]
    means = {rate: sum(r["validation"] for r in found if r["rate"] == rate) / 2 for rate in (1e-6, 3e-3)}
    tested = [r["average"] for r in found if r["rate"] == max(means, key=means.__getitem__)]
    assert row["average"]["mean"] == pytest.approx(sum(tested) / 2)
