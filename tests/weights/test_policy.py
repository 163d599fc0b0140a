from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalarize.utils.errors import RequestError
from scalarize.weights.policy import Policy
from scalarize.weights.segment import Segment


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    n, epochs = draw(st.integers(1, 5)), draw(st.integers(1, 30))
    starts = sorted({0, *draw(st.lists(st.integers(0, epochs - 1), max_size=4))})
    raw = [draw(st.lists(st.floats(1e-3, 1e3), min_size=n, max_size=n)) for _ in starts]
    scales = [draw(st.floats(1e-3, 1e3)) for _ in starts]
    return Policy.from_schedule([f"t{i}" for i in range(n)], list(zip(starts, raw, strict=True)), epochs, scales)


def test_numbers_and_names_of_numpy_are_kept_as_plain_ones(tmp_path: Path) -> None:
    own = [Segment(np.int64(0), (0.25, 0.75)), Segment(np.int32(2), tuple(np.float32([0.5, 0.5])), np.float32(2.0))]
    policy = Policy(tuple(np.array(["a", "b"])), np.int64(4), tuple(own))
    assert Policy.load(policy.save(tmp_path / "policy.json")) == policy
    assert [type(x) for x in (policy.tasks[0], policy.epochs, own[1].weights[0], own[1].scale)] == [
        str,
        int,
        float,
        float,
    ]


def test_what_no_file_could_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="tasks must be names, got 1, a number"):
        Policy.constant({1: 1.0})  # type: ignore[dict-item]
    with pytest.raises(RequestError, match=r"epochs must be a whole number, got 2\.5"):
        Policy.constant({"a": 1.0}, 2.5)  # type: ignore[arg-type]
    with pytest.raises(RequestError, match="its provenance is not plain data"):
        Policy.constant({"a": 1.0}, provenance={"x": {1, 2}}).save(tmp_path / "policy.json")
    assert not list(tmp_path.iterdir())


def test_recipe_numbers_are_those_of_the_searchs_end() -> None:
    course = [{"from_epoch": 0, "optimizer.lr": 0.1}, {"from_epoch": 3, "optimizer.lr": 0.2}]
    assert Policy.constant({"a": 1.0}, 4, {"also": course}).last().numbers == {"optimizer.lr": 0.2}
    assert Policy.constant({"a": 1.0}).numbers == {}
    for damaged in ([1], {"lr": 1}, [{"lr": "fast"}], 3):
        with pytest.raises(RequestError, match="recipe numbers are damaged"):
            _ = Policy.constant({"a": 1.0}, 4, {"also": damaged}).numbers


@given(policies(), st.integers(1, 60))
def test_stretching_keeps_a_valid_policy_and_its_ends(policy: Policy, epochs: int) -> None:
    other = policy.stretch(epochs)
    assert other.epochs == epochs
    if epochs >= policy.epochs:
        assert np.allclose(other.weights_at(0), policy.weights_at(0))
        assert [s.weights for s in other.segments] == [s.weights for s in policy.segments]
    assert other.last().segments[0].weights == policy.last().segments[0].weights


@given(policies())
def test_stretching_to_its_own_length_changes_nothing(policy: Policy) -> None:
    assert policy.stretch(policy.epochs) == policy
    assert policy.stretch(3 * policy.epochs).stretch(policy.epochs) == policy


@given(policies())
def test_round_trip(policy: Policy) -> None:
    assert Policy.from_dict(json.loads(json.dumps(policy.to_dict()))) == policy


def test_file_round_trip(tmp_path: Path) -> None:
    policy = Policy.from_schedule(["a", "b"], [(0, [1, 1]), (3, [1, 3])], 12, provenance={"seed": 1})
    path = policy.save(tmp_path / "policy.json")
    assert Policy.load(path) == policy
    assert [p.name for p in tmp_path.iterdir()] == ["policy.json"]


def test_weights_over_epochs_and_histories() -> None:
    policy = Policy.from_schedule(["a", "b"], [(0, [1, 1]), (3, [1, 3])], 12, scales=[1.0, 16.0])
    assert policy.weights_at(2).tolist() == [0.5, 0.5]
    assert policy.weights_at(3).tolist() == policy.weights_at(99).tolist() == [0.25, 0.75]
    assert policy.history("last").segments == (Segment(0, (0.25, 0.75), 16.0),)
    (mean,) = policy.history("mean").segments
    assert mean.weights == pytest.approx((0.3125, 0.6875))
    assert mean.scale == pytest.approx(16**0.75)
    assert policy.history("full") is policy
    with pytest.raises(RequestError, match="full, last or mean"):
        policy.history("best")


def test_reordering_by_name() -> None:
    policy = Policy.constant({"a": 1, "b": 3})
    assert policy.reorder(["b", "a"]).weights_at(0).tolist() == [0.75, 0.25]
    with pytest.raises(RequestError, match="the run has a, c"):
        policy.reorder(["a", "c"])


GOOD = Policy.from_schedule(["a", "b"], [(0, [1, 1]), (3, [1, 3])], 12).to_dict()
SEGMENTS = GOOD["segments"]
DAMAGED = {
    "not an object": [],
    "another format": GOOD | {"format": "other/1"},
    "no tasks": GOOD | {"tasks": []},
    "a task twice": GOOD | {"tasks": ["a", "a"]},
    "no epochs": GOOD | {"epochs": 0},
    "epochs as text": GOOD | {"epochs": "12"},
    "epochs true": GOOD | {"epochs": True},
    "no segments": GOOD | {"segments": []},
    "first later than 0": GOOD | {"segments": [SEGMENTS[1]]},
    "segment beyond the end": GOOD | {"epochs": 3},
    "descending": GOOD | {"segments": [SEGMENTS[0], SEGMENTS[1], SEGMENTS[0]]},
    "too few weights": GOOD | {"segments": [SEGMENTS[0] | {"weights": [1.0]}]},
    "negative": GOOD | {"segments": [SEGMENTS[0] | {"weights": [1.5, -0.5]}]},
    "sum not 1": GOOD | {"segments": [SEGMENTS[0] | {"weights": [0.5, 0.6]}]},
    "not a number": GOOD | {"segments": [SEGMENTS[0] | {"weights": [0.5, float("nan")]}]},
    "weights as text": GOOD | {"segments": [SEGMENTS[0] | {"weights": ["0.5", "0.5"]}]},
    "scale 0": GOOD | {"segments": [SEGMENTS[0] | {"scale": 0}]},
    "segment no object": GOOD | {"segments": [3]},
    "missing field": {k: v for k, v in GOOD.items() if k != "epochs"},
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_damaged_files_are_refused_by_name(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "policy.json"
    path.write_text(json.dumps(DAMAGED[kind]))
    with pytest.raises(RequestError, match=r"policy\.json") as caught:
        Policy.load(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"null", b"[" * 100000])
def test_files_that_are_no_json_are_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    path.write_bytes(content)
    with pytest.raises(RequestError, match=r"p\.json"):
        Policy.load(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"none\.json"):
        Policy.load(tmp_path / "none.json")


def test_a_policy_without_bound_is_refused() -> None:
    one = {"weights": [1.0], "from_epoch": 0}
    for wrong, message in (
        ({"epochs": 10**9, "segments": [one]}, "epochs must be at most 1,000,000, got 1000000000"),
        ({"epochs": 10**40, "segments": [one]}, "epochs must be at most 1,000,000, got a number of 41 digits"),
        ({"epochs": 10**6, "segments": [one] * 100_001}, "segments must be at most 100,000, got 100001"),
    ):
        with pytest.raises(RequestError, match=message):
            Policy.from_dict({"format": "scalarize-policy/1", "tasks": ["a"], **wrong})
    many = tuple(Segment(k, (1.0,)) for k in range(90_000))
    policy = Policy(("a",), 90_000, many)
    assert sum(policy.segment_at(k).from_epoch for k in range(90_000)) == sum(range(90_000))  # not quadratic
