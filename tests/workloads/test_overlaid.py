"""Pairs of images: composed as published, split before pairing, learned by heart."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

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


def test_overlay_is_that_of_the_published_loader() -> None:
    generator = torch.Generator().manual_seed(3)
    left, right = torch.randint(0, 256, (2, 5, 28, 28), dtype=torch.uint8, generator=generator)
    both = overlay(left, right)
    assert both.shape == (5, 1, 28, 28)
    for k in range(5):  # as the authors write it, with Pillow in place of the function of scipy that is gone
        canvas = np.zeros((36, 36), np.uint8)
        canvas[0:28, 0:28] = left[k].numpy()
        canvas[6:34, 6:34] = np.maximum(canvas[6:34, 6:34], right[k].numpy())
        wanted = Image.fromarray(canvas).resize((28, 28), Image.Resampling.NEAREST)
        assert np.array_equal(both[k, 0].numpy(), np.asarray(wanted))


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
    seen = {int(column): place for place, column in enumerate((torch.arange(28) + 0.5) * 36 // 28)}
    checked = 0
    for k in range(10):  # a label is a bright column, seen above the other image and below it, if it was not left out
        left, right = (2 * int(train.targets[t][k]) + 4 for t in ("left", "right"))
        for column, rows in ((seen.get(left), slice(0, 4)), (seen.get(right + 6), slice(23, 26))):
            if column is not None:
                assert (train.inputs[k, 0, rows, column] == 255).all()
                checked += 1
    assert checked > 10
    first = {train.inputs[k, 0, :4].numpy().tobytes() for k in range(40)}
    held = splits["validation"].batch(torch.arange(10)).inputs
    assert not first & {held[k, 0, :4].numpy().tobytes() for k in range(10)}


def test_pairs_are_learned_by_heart(root: Path, overfit: Callable[..., dict[str, float]]) -> None:
    losses = overfit("multi-fashion", root, steps=120, model__dropout=0.0)
    assert set(losses) == {"left", "right"}
    assert max(losses.values()) < 0.1


@pytest.mark.parametrize(("family", "depth", "width"), [("resnet", 26, 0.0625), ("vit", 3, 0.125)])
def test_backbones_take_gray_pairs(root: Path, family: str, depth: int, width: float) -> None:
    workload = workloads.get("multi-fashion-backbone")
    data = workload.load(workload.recipe.data, root)
    model = workload.build({"family": family, "depth": depth, "width": width}, data)
    out = model(data.domains["pairs"].splits["train"].batch(torch.arange(4)).inputs)
    assert {name: tuple(z.shape) for name, z in out.items()} == {"left": (4, 10), "right": (4, 10)}


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
