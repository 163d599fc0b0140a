"""CIFAR-10 and STL-10 from files in their published layouts."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from scalarize import workloads
from scalarize.tasks.task import Data
from scalarize.utils.errors import RequestError
from scalarize.workloads.datasets import cifar

WORKLOAD = workloads.get("cifar-stl")


def load(root: Path) -> Data:
    return WORKLOAD.load(WORKLOAD.recipe.data, root)


@pytest.mark.parametrize("layout", [cifar.PYTHON, cifar.BINARY])
def test_both_layouts_of_cifar_give_the_same_samples(fixtures: ModuleType, tmp_path: Path, layout: str) -> None:
    fixtures.write_cifar(tmp_path, layout)
    images, labels = cifar.cifar(tmp_path, "train")
    assert labels.tolist() == [k % 10 for k in range(20)]
    assert torch.equal(images[4:8], torch.from_numpy(fixtures.pictures(4, 32, 1)))
    assert len(cifar.cifar(tmp_path, "test")[0]) == 4


def test_stl_is_upright_and_its_classes_are_cifars(fixtures: ModuleType, tmp_path: Path) -> None:
    fixtures.write_stl(tmp_path)
    images, labels = cifar.stl(tmp_path, "train")
    assert torch.equal(images, torch.from_numpy(fixtures.pictures(10, 96, 55)))
    for stl_class, label in zip(cifar.STL_CLASSES, labels.tolist(), strict=True):
        same = {"car": "automobile", "monkey": "frog"}.get(stl_class, stl_class)
        assert cifar.CIFAR_CLASSES[label] == same
    assert sorted(labels.tolist()) == list(range(10))


def test_domains_epochs_and_recipe(fixtures: ModuleType, tmp_path: Path) -> None:
    fixtures.write_cifar(tmp_path)
    fixtures.write_stl(tmp_path)
    assert WORKLOAD.missing(tmp_path) is None
    data = load(tmp_path)
    assert data.names == ["cifar", "stl"]
    assert data.epoch_size == 10
    assert not data.has("validation")
    for domain in data.domains.values():
        assert domain.splits["train"].batch(torch.arange(4)).inputs.shape == (4, 3, 32, 32)
    recipe = WORKLOAD.recipe
    assert (recipe.epochs, recipe.batch_size, recipe.optimizer.lr, recipe.optimizer.weight_decay) == (
        300,
        256,
        1e-3,
        0.05,
    )
    assert (recipe.schedule.warmup, recipe.selection) == (30, "last")


def test_it_is_learned_by_heart(fixtures: ModuleType, tmp_path: Path, overfit: Callable[..., dict[str, float]]) -> None:
    fixtures.write_cifar(tmp_path)
    fixtures.write_stl(tmp_path)
    losses = overfit("cifar-stl", tmp_path, steps=40, model__depth=3, model__width=0.25)
    assert set(losses) == {"cifar", "stl"}
    assert max(losses.values()) < 0.1


def cut(content: bytes) -> bytes:
    return content[: len(content) * 2 // 3]


class _Runs:
    """What a hostile pickle would do."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch /tmp/never",)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("cifar-10-batches-py/data_batch_3", None, "no such file"),
        ("cifar-10-batches-py/data_batch_3", cut, "not a batch of CIFAR-10"),
        ("cifar-10-batches-py/test_batch", lambda b: b"nothing", "not a batch of CIFAR-10"),
        ("cifar-10-batches-py/test_batch", lambda b: pickle.dumps(_Runs()), "system has no place in it"),
        ("cifar-10-batches-py/test_batch", lambda b: pickle.dumps({b"labels": [1]}), "not a batch of CIFAR-10"),
        (
            "cifar-10-batches-py/test_batch",
            lambda b: pickle.dumps({b"labels": [1], b"data": np.zeros((1, 3), np.uint8)}),
            "expected rows of 3072 bytes",
        ),
        ("stl10_binary/train_X.bin", None, "no such file"),
        ("stl10_binary/train_X.bin", cut, "no whole number of images"),
        ("stl10_binary/test_y.bin", cut, "expected 10 labels from 1 to 10, got 6"),
        ("stl10_binary/test_y.bin", lambda b: bytes(10), "expected 10 labels from 1 to 10"),
    ],
)
def test_what_is_wrong_is_named(
    fixtures: ModuleType, tmp_path: Path, name: str, change: Callable[[bytes], bytes] | None, message: str
) -> None:
    fixtures.write_cifar(tmp_path)
    fixtures.write_stl(tmp_path)
    path = tmp_path / name
    if change is None:
        path.unlink()
        missing = WORKLOAD.missing(tmp_path)
        assert missing is not None
        assert missing.startswith(str(path))
    else:
        path.write_bytes(change(path.read_bytes()))
    with pytest.raises(RequestError, match=message) as error:
        load(tmp_path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    assert error.value.status == 2


def test_a_cut_binary_batch_is_named(fixtures: ModuleType, tmp_path: Path) -> None:
    fixtures.write_cifar(tmp_path, cifar.BINARY)
    path = tmp_path / cifar.BINARY / "data_batch_2.bin"
    path.write_bytes(cut(path.read_bytes()))
    with pytest.raises(RequestError, match=r"data_batch_2\.bin: 8194 bytes are no whole number"):
        cifar.cifar(tmp_path, "train")
