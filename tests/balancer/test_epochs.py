"""Epochs for methods that count them: set, counted by steps, or a window that is told once; a schedule wants them."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import nn

import scalarize
from scalarize.utils.errors import RequestError, ScalarizeWarning
from scalarize.weights.policy import Policy

COURSE = [[1.0, 1.0], [0.9, 0.5], [0.85, 0.3], [0.8, 0.2], [0.79, 0.15], [0.78, 0.1]]
POLICY = Policy.from_schedule(["a", "b"], [(0, [1, 3]), (2, [3, 1])], epochs=4)


def weights(name: str, steps: int, epoch_of: Any = None, **options: Any) -> list[list[float]]:
    """Weights at each step, of losses that fall as ``COURSE`` does, three steps an entry."""
    p = nn.Parameter(torch.ones(2, dtype=torch.float64))
    balancer = scalarize.Balancer(name, [p], **options)
    found = []
    for k in range(steps):
        if epoch_of is not None:
            balancer.epoch = epoch_of(k)
        a, b = COURSE[k // 3 % len(COURSE)]
        used = balancer.backward({"a": a * p[0] ** 2, "b": b * p[1] ** 2})
        assert used.weights is not None
        found.append(used.weights.tolist())
    return found


@pytest.mark.parametrize(
    ("name", "hyper"), [("dwa", {}), ("stch", {"form": "mtl", "warmup": 1}), ("policy", {"policy": POLICY})]
)
def test_steps_that_make_an_epoch_are_epochs_that_are_set(name: str, hyper: dict[str, Any]) -> None:
    counted = weights(name, 15, steps_per_epoch=3, **hyper)
    assert counted == weights(name, 15, epoch_of=lambda k: k // 3, **hyper)
    assert counted[0] != counted[-1]


@pytest.mark.parametrize(("name", "hyper"), [("dwa", {}), ("stch", {"form": "mtl", "warmup": 1})])
def test_without_either_a_window_acts_and_is_told_once(name: str, hyper: dict[str, Any]) -> None:
    with pytest.warns(ScalarizeWarning, match="25 steps stand for each") as told:
        by_window = weights(name, 80, **hyper)
    assert len(told) == 1
    assert "steps_per_epoch=" in str(told[0].message)
    assert by_window == weights(name, 80, steps_per_epoch=25, **hyper)
    assert by_window[0] != by_window[-1]


def test_a_schedule_is_refused_before_anything_is_trained() -> None:
    with pytest.raises(RequestError, match="steps_per_epoch="):
        weights("policy", 1, policy=POLICY)
    still = Policy.from_schedule(["a", "b"], [(0, [1, 3])], epochs=4)
    assert weights("policy", 3, policy=still) == [[0.25, 0.75]] * 3


@pytest.mark.parametrize(
    ("name", "hyper"), [("dwa", {"window": 5}), ("stch", {}), ("stch", {"form": "mtl", "nadir": [1, 1]}), ("famo", {})]
)
def test_those_that_count_no_epochs_are_told_nothing(name: str, hyper: dict[str, Any]) -> None:
    assert len(weights(name, 40, **hyper)) == 40  # a warning would be an error


def test_what_the_training_sets_goes_before_what_is_counted() -> None:
    balancer = scalarize.Balancer("uniform", steps_per_epoch=2)
    p = nn.Parameter(torch.ones(1))
    for _ in range(5):
        balancer.backward({"a": p.sum()})
    assert balancer.epoch == 2
    balancer.epoch = 7
    assert balancer.epoch == 7
    with pytest.raises(RequestError, match="steps_per_epoch"):
        scalarize.Balancer("uniform", steps_per_epoch=0)


def test_a_state_dict_keeps_the_epoch_and_who_counts() -> None:
    p = nn.Parameter(torch.ones(2, dtype=torch.float64))
    first = scalarize.Balancer("dwa", [p], steps_per_epoch=3)
    for _ in range(7):
        first.backward({"a": p[0] ** 2, "b": p[1] ** 2})
    second = scalarize.Balancer("dwa", [p], steps_per_epoch=3)
    second.load_state_dict(first.state_dict())
    assert second.epoch == 2
    second.backward({"a": p[0] ** 2, "b": p[1] ** 2})
    second.backward({"a": p[0] ** 2, "b": p[1] ** 2})
    assert second.epoch == 3
    older = {k: v for k, v in first.state_dict().items() if k != "epoch_set"}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        second.load_state_dict(older)
    assert second.epoch == 2
