"""ForkMerge as an example: averages are averages, merging never loses on validation, and noise gets no weight."""

from __future__ import annotations

from types import ModuleType

import pytest
import torch

from scripts import load


@pytest.fixture(scope="module")
def example() -> ModuleType:
    return load("examples/forkmerge.py")


def test_the_average_of_two_models(example: ModuleType) -> None:
    one, other = torch.nn.Linear(2, 1), torch.nn.Linear(2, 1)
    got = example.average(one, other, 0.25).weight
    torch.testing.assert_close(got, 0.75 * one.weight + 0.25 * other.weight)


def test_merging_is_at_least_as_good_as_the_best_branch(example: ModuleType) -> None:
    x, y, _ = example.problem()
    branches = [example.alone(w, epochs=1) for w in ([1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.5, 0.0, 0.5])]
    held = x["validation"], y["validation"]
    merged, shares = example.merge(branches, *held)
    assert example.target_loss(merged, *held) <= min(example.target_loss(b, *held) for b in branches)
    assert sum(shares) == pytest.approx(1.0)
    for name, value in merged.state_dict().items():
        wanted = sum(s * b.state_dict()[name] for s, b in zip(shares, branches, strict=True))
        torch.testing.assert_close(value, wanted)


def test_the_related_task_gets_weight_the_noise_little_and_the_target_gains(example: ModuleType) -> None:
    x, y, _ = example.problem()
    found, policy = example.forkmerge()
    last = dict(zip(example.TASKS, policy.weights_at(policy.epochs - 1), strict=True))
    assert last["related"] > 0.2
    assert last["noise"] < 0.2
    test = x["test"], y["test"]
    assert example.target_loss(found, *test) < example.target_loss(example.alone([1.0, 0.0, 0.0]), *test)
