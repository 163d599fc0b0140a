"""Pairs of images: composed as published, split before pairing, learned by heart."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from scalarize import workloads
from scalarize.tasks.samples import TensorTable
from scalarize.utils.errors import RequestError
from scalarize.workloads.overlaid import overlay


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    spec = importlib.util.spec_from_file_location("idx_files", Path(__file__).parent / "datasets" / "test_idx.py")
    assert spec is not None
    assert spec.loader is not None
    writer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(writer)
    folder = tmp_path_factory.mktemp("data")
    for name in ("FashionMNIST", "MNIST"):
        writer.write_mnist(folder / name / "raw", 50)
    return folder


def test_overlay_takes_the_maximum_of_two_shifted_images() -> None:
    left, right = torch.zeros(2, 1, 28, 28, dtype=torch.uint8).unbind(0)
    left[0, 0, 0], right[0, 27, 27] = 10, 20
    left[0, 9, 9], right[0, 1, 1] = 30, 40  # the same place of the canvas
    both = overlay(left, right)
    assert both.shape == (1, 1, 36, 36)
    assert both[0, 0, 0, 0] == 10
    assert both[0, 0, 35, 35] == 20
    assert both[0, 0, 9, 9] == 40
    assert int(both.int().sum()) == 70


@pytest.mark.parametrize("name", ["multi-fashion", "multi-mnist"])
def test_splits_and_labels(root: Path, name: str) -> None:
    workload = workloads.get(name)
    assert workload.missing(root) is None
    data = workload.load(workload.recipe.data, root)
    splits = data.domains["pairs"].splits
    assert {s: len(t) for s, t in splits.items()} == {"train": 40, "validation": 10, "test": 50}
    again = workload.load(workload.recipe.data, root).domains["pairs"].splits["train"]
    train = splits["train"]
    assert isinstance(train, TensorTable)
    assert isinstance(again, TensorTable)
    assert torch.equal(train.inputs, again.inputs)
    for k in range(10):  # a label is a bright column, seen above the other image and below it
        columns = train.inputs[k, 0]
        assert (columns[:8, 2 * int(train.targets["left"][k]) + 4] == 255).all()
        assert (columns[28:, 8 + 2 * int(train.targets["right"][k]) + 4] == 255).all()
    first = {train.inputs[k, 0, :8, :28].numpy().tobytes() for k in range(40)}
    held = splits["validation"].batch(torch.arange(10)).inputs
    assert not first & {held[k, 0, :8, :28].numpy().tobytes() for k in range(10)}


def test_pairs_are_learned_by_heart(root: Path, overfit: Callable[..., dict[str, float]]) -> None:
    losses = overfit("multi-fashion", root, steps=120, model__dropout=0.0)
    assert set(losses) == {"left", "right"}
    assert max(losses.values()) < 0.1


def test_missing_files_are_named(tmp_path: Path) -> None:
    workload = workloads.get("multi-mnist")
    expected = r"MNIST/raw/train-images-idx3-ubyte\.gz: "
    missing = workload.missing(tmp_path)
    assert missing is not None
    assert missing.startswith(str(tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte.gz"))
    with pytest.raises(RequestError, match=expected):
        workload.load(workload.recipe.data, tmp_path)


def test_a_share_of_the_pictures(root: Path) -> None:
    workload = workloads.get("multi-fashion")
    splits = workload.load(dict(workload.recipe.data) | {"share": 0.2}, root).domains["pairs"].splits
    assert {s: len(t) for s, t in splits.items()} == {"train": 8, "validation": 2, "test": 10}
    with pytest.raises(RequestError, match=r"data\.share=2"):
        workload.load(dict(workload.recipe.data) | {"share": 2.0}, root)
