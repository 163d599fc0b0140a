"""The actor-critic learner on two tasks in numpy: it learns, repeats and goes on bit for bit, under every method."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import scalarize
from fake_environments import TASKS, Broken, Points, learner
from scalarize import methods
from scalarize.learners.rl.environments import play
from scalarize.learners.supervised import Learner
from scalarize.runs.train import _validate
from scalarize.utils import files
from scalarize.utils.errors import DivergedError, RequestError, RunError

SHORT = {"data__steps": 12, "data__initial_steps": 6, "batch_size": 8}
NEED_POSITIVE = {
    "db-mtl",
    "epo",
    "famo",
    "gls",
    "go4align",
    "uw-so",
}  # these take logarithms or inverses of losses; an actor's may be negative


def flat(state: Any, prefix: str = "") -> dict[str, Any]:
    """The leaves of a state, without the times."""
    found: dict[str, Any] = {}
    for key, value in state.items() if isinstance(state, dict) else enumerate(state):
        name = f"{prefix}/{key}"
        if key == "times":
            continue
        found |= flat(value, name) if isinstance(value, dict | list | tuple) else {name: value}
    return found


def assert_same(first: Any, second: Any) -> None:
    a, b = flat(first), flat(second)
    assert a.keys() == b.keys()
    for key, value in a.items():
        same = torch.equal(value, b[key]) if isinstance(value, torch.Tensor) else value == b[key]
        assert same, key


def test_it_learns_two_tasks_that_contradict_each_other() -> None:
    trained = learner(0, data__steps=180, data__initial_steps=60)
    assert isinstance(trained, Learner)
    before = trained.measure("test")
    trained.train(methods.create("unitary"), 3)
    after = trained.measure("test")
    for task in TASKS:  # an untrained policy solves 1 in 10
        assert after[task]["metric"] >= 0.5 > 0.3 > before[task]["metric"]
        assert after[task]["return"] > 0.6 * before[task]["return"]  # both are negative


def names() -> list[Any]:
    able = [n for n in methods.names() if not methods.get(n).requires and not methods.get(n).same_samples]
    return [pytest.param(n, id=n) for n in able]


@pytest.mark.parametrize("name", names())
def test_every_method_makes_finite_steps_or_says_why_not(name: str) -> None:
    rows: list[Any] = []
    trained = learner(0, on_rows=rows.extend, **SHORT)
    before = [p.clone() for p in trained.model.shared_parameters()]
    if name in NEED_POSITIVE:
        with pytest.raises(RunError, match=f"{name} takes logarithms"):
            trained.train(methods.create(name), 1)
        return
    trained.train(methods.create(name), 1)
    after = list(trained.model.shared_parameters())
    assert all(bool(p.isfinite().all()) for p in after)
    assert all(not torch.equal(p, q) for p, q in zip(after, before, strict=True))  # of the actor and of both critics
    means = {(r["task"], r["metric"]): r["value"] for r in rows}
    assert all(math.isfinite(value) for value in means.values())
    weighed = {metric for _, metric in means if metric.startswith("weight")}
    assert weighed in (set(), {"weight", "weight:actor", "weight:critic"})
    for task in TASKS if weighed else ():
        half = (means[task, "weight:actor"] + means[task, "weight:critic"]) / 2
        assert means[task, "weight"] == pytest.approx(half)


@pytest.mark.parametrize("name", ["rlw", "imtl", "uncertainty"])
def test_it_goes_on_bit_for_bit(name: str) -> None:
    rows: dict[str, list[Any]] = {"whole": [], "parts": []}
    whole = learner(3, on_rows=rows["whole"].extend, **SHORT)
    whole.train(methods.create(name), 3)
    begun = learner(3, on_rows=rows["parts"].extend, **SHORT)
    begun.train(methods.create(name), 2)
    begun.evaluate("validation")  # looking changes nothing
    content = files.tensor_bytes(begun.state_dict())
    resumed = learner(3, on_rows=rows["parts"].extend, **SHORT)
    resumed.load_state_dict(files.load_tensors("state", content))
    assert_same(resumed.state_dict(), begun.state_dict())
    resumed.train(methods.create(name), 3)
    assert_same(resumed.state_dict(), whole.state_dict())
    assert rows["whole"] == rows["parts"]
    other = learner(4, **SHORT)
    other.load_state_dict(files.load_tensors("state", content))
    other.train(methods.create(name), 3)
    assert not torch.equal(other.model.actor.body[0].weight, whole.model.actor.body[0].weight)


def test_without_its_replay_a_state_fills_it_again() -> None:
    first = learner(0, data__save_replay=False, **SHORT)
    first.train(methods.create("unitary"), 1)
    state = first.state_dict()
    assert "replay" not in state
    again = learner(0, data__save_replay=False, **SHORT)
    again.load_state_dict(state)
    again.train(methods.create("unitary"), 2)
    assert again.replay.size == 6 + 12
    assert again.counts()["updates"] == 6 + 12


def test_a_policy_weighs_actor_and_critics_alike() -> None:
    rows: list[Any] = []
    trained = learner(0, on_rows=rows.extend, **SHORT)
    trained.train(scalarize.Policy.constant({"mirrored": 3, "straight": 1}, epochs=2), 1)
    weights = {(r["task"], r["metric"]): r["value"] for r in rows if r["metric"].startswith("weight")}
    assert {v for (task, _), v in weights.items() if task == "mirrored"} == {0.75}
    assert {v for (task, _), v in weights.items() if task == "straight"} == {0.25}


def test_l2_is_the_actors_alone() -> None:
    trained = learner(0, optimizer__weight_decay=0.5, **SHORT)
    trained.use(methods.create("unitary"))
    decay = {name: half.optimizer.param_groups[0]["weight_decay"] for name, half in trained.halves.items()}
    assert decay == {"critic": 0.0, "actor": 0.5}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"level": "representation"}, "level=parameters"),
        ({"accumulate": 2}, "accumulate=2"),
        ({"data__discount": 1.5}, "data.discount=1.5"),
        ({"model__temperatures": "many"}, "model.temperatures=many"),
        ({"data__rewards": "some"}, "data.rewards=some"),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(RequestError, match=named):
        learner(0, **changes)


def test_a_method_of_the_same_samples_is_refused() -> None:
    with pytest.raises(RequestError, match="sample by sample"):
        learner(0, **SHORT).use(methods.create("rotograd"))


def test_a_loss_that_is_not_finite_names_the_task() -> None:
    with pytest.raises(DivergedError, match="'mirrored' is not finite"):
        learner(0, Broken, data__rewards="none", **SHORT).train(methods.create("unitary"), 30)


def test_an_action_that_is_not_finite_names_the_task() -> None:
    trained = learner(0, **SHORT)
    trained.model.actor.body[0].weight.data[0, 4 + TASKS.index("mirrored")] = math.nan
    with pytest.raises(DivergedError, match="the action of task"):
        trained._act(np.zeros((2, 4)), None)


def test_play_begins_one_episode_from_each_goal() -> None:
    returns, success = play(Points(TASKS), lambda seen: np.zeros((2, 2)), [[5, 6, 7], [7, 5, 6]])
    assert returns.shape == success.shape == (2, 3)
    lengths = [np.linalg.norm(np.random.default_rng(g).uniform(-1, 1, 2)) for g in (5, 6, 7)]
    assert sorted(returns[0]) == pytest.approx(sorted(-8 * x for x in lengths))
    assert sorted(returns[1]) == pytest.approx(sorted(-80 * x for x in lengths))


WORDS = ("--set", "data.steps=12", "--set", "data.initial_steps=6", "--set", "batch_size=8", "--set", "selection=last")


@pytest.mark.usefixtures("points")
def test_train_policy_and_replay_from_the_command_line(command: Any, tmp_path: Path) -> None:
    answer = command("train", "points", "--method", "rlw", "--epochs", 2, *WORDS, "--out", "r", "--json")
    assert answer.status == 0, answer.err
    result = answer.json
    assert set(result["test"]) == {*TASKS, "average"}
    assert result["measures"]["test"]["straight"].keys() == {"success", "return", "loss"}
    assert (result["environment_steps"], result["updates"]) == (2 * 2 * 12, 6 + 12)
    assert [row["updates"] for row in result["times"]] == [6, 12]
    assert all(row["acting"] > 0 and row["updating"] > 0 for row in result["times"])
    assert command("policy", "r", "--json").json["clipped"] == 0
    replayed = command("train", "points", "--policy", "r/policy.json", "--epochs", 2, *WORDS, "--out", "p", "--json")
    assert replayed.status == 0, replayed.err
    one = command("train", "points", "--single", "mirrored", "--epochs", 1, *WORDS, "--out", "s", "--json")
    assert set(one.json["test"]) == {"mirrored", "average"}


@pytest.mark.usefixtures("points")
def test_a_run_that_is_cut_off_ends_as_if_it_were_not(
    command: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scalarize.runs.train.CHECKPOINT_SECONDS", 0.0)
    words = ("train", "points", "--method", "pcgrad", "--epochs", 3, *WORDS)
    assert command(*words, "--out", "whole", "--json").status == 0
    original, calls = _validate, []

    def cut(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(*arguments)

    monkeypatch.setattr("scalarize.runs.train._validate", cut)
    assert command(*words, "--out", "cut").status == 1
    monkeypatch.setattr("scalarize.runs.train._validate", original)
    assert command(*words, "--out", "cut", "--resume", "--json").status == 0
    assert (tmp_path / "whole/records.jsonl").read_bytes() == (tmp_path / "cut/records.jsonl").read_bytes()


@pytest.mark.usefixtures("points")
def test_a_run_that_diverges_says_so_and_keeps_what_was_selected(command: Any, tmp_path: Path) -> None:
    words = ("train", "broken", "--epochs", 4, *WORDS, "--set", "data.rewards=none", "--out", "r", "--json")
    answer = command(*words)
    assert answer.status == 1
    assert "'mirrored' is not finite" in answer.json["diverged"]
    assert answer.json["epoch"] == 1
    assert (tmp_path / "r/checkpoints/selected.pt").exists()
    assert command(*words, "--resume").json == answer.json


@pytest.mark.usefixtures("points")
def test_a_search_and_a_comparison_take_it_as_any_other(command: Any, tmp_path: Path) -> None:
    few = ("--population", 2, "--ready", 1, "--epochs", 2)
    found = command("search", "points", *few, *WORDS, "--out", "s", "--json")
    assert found.status == 0, found.err
    rows = files.read_lines(tmp_path / "s/lineage.jsonl")
    assert rows[0]["weights"] == pytest.approx([0.5, 0.5])  # there is no constant predictor: uniform
    rivals = ("--methods", "uniform,policy", "--policy", "s/policy.json", "--seeds", 2, "--epochs", 1)
    compared = command("compare", "points", *rivals, *WORDS, "--out", "c", "--json")
    assert compared.status == 0, compared.err
    assert [row["method"] for row in compared.json["rows"]] == ["uniform", "policy"]
