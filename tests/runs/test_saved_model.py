"""Averages of several models' outputs are averages of their predictions."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scalarize.runs.onnx_file import linked
from scalarize.runs.saved_model import average
from scalarize.workloads.table.fitted import class_probabilities
from scalarize.workloads.table.targets import Target

NUMBERS = [
    Target("y", "regression", centre=2010.0, scale=30.0),
    Target("y", "huber", centre=-1.0, scale=1e-6),
    Target("y", "log", centre=2.0, scale=0.7),
    Target("y", "count", scale=3.5),
]
CLASSES = [
    Target("y", "binary", classes=("no", "yes")),
    Target("y", "classes", classes=("a", "b", "c", "d")),
    Target("y", "ordinal", classes=(0, 1, 2, 3)),
]


def outputs(target: Target) -> torch.Tensor:
    return 3 * torch.randn(4, 50, target.outputs, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("target", NUMBERS, ids=lambda t: t.kind)
def test_numbers(target: Target) -> None:
    found = outputs(target)
    mean = np.mean([target.undo(o[:, 0].numpy()) for o in found], axis=0)
    assert np.allclose(target.undo(average(target, found)[:, 0].numpy()), mean)
    assert np.array_equal(average(target, found[:1]), found[0])


@pytest.mark.parametrize("target", CLASSES, ids=lambda t: t.kind)
def test_classes(target: Target) -> None:
    found = outputs(target)
    if target.kind == "ordinal":
        found = found.sort(dim=-1, descending=True).values  # as a fitted one: P(y > k) falls with k
    mean = np.mean([class_probabilities(target, o.numpy()) for o in found], axis=0)
    assert np.allclose(class_probabilities(target, average(target, found).numpy()), mean)


@pytest.mark.parametrize("target", CLASSES, ids=lambda t: t.kind)
def test_probabilities_of_onnx_are_those_of_predict(target: Target) -> None:
    found = outputs(target)[0]
    assert np.allclose(linked(target, found).numpy(), class_probabilities(target, found.numpy()))


def test_a_certain_model_among_others_stays_finite() -> None:
    for target in (CLASSES[0], CLASSES[1], NUMBERS[3]):
        found = torch.stack([torch.full((1, target.outputs), sign * 60.0) for sign in (1.0, -1.0)])
        assert torch.isfinite(average(target, found)).all()
