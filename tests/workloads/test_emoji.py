"""Emoji: one split for all vendors and tones, labels as published, learned by heart."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch

from scalarize import workloads
from scalarize.tasks.samples import TensorTable
from scalarize.tasks.task import Data
from scalarize.utils.errors import RequestError
from scalarize.workloads.datasets import emoji


def sibling(path: str) -> ModuleType:
    """The writer of tiny packages, beside the tests of the reader."""
    spec = importlib.util.spec_from_file_location("emoji_packages", Path(__file__).parent / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    packages = sibling("datasets/test_emoji.py")
    emoji.build({v: packages.write_package(folder, v, k) for k, v in enumerate(emoji.FREE)}, folder / "emoji")
    return folder


def load(name: str, root: Path, **changes: object) -> Data:
    workload = workloads.get(name)
    return workload.load({**workload.recipe.data, **changes}, root)


def drawn(data: Data) -> dict[str, set[int]]:
    """split -> groups, over all domains."""
    found: dict[str, set[int]] = {}
    for domain in data.domains.values():
        for split, source in domain.splits.items():
            assert source.groups is not None
            found.setdefault(split, set()).update(source.groups.tolist())
    return found


@pytest.mark.parametrize("name", ["emoji", "emoji-tasks"])
@pytest.mark.parametrize("seed", range(4))
def test_no_base_emoji_lies_in_two_splits(root: Path, name: str, seed: int) -> None:
    splits = drawn(load(name, root, split_seed=seed))
    assert not splits["train"] & splits["test"]
    assert not splits["train"] & splits["validation"]
    assert not splits["validation"] & splits["test"]
    assert len(set.union(*splits.values())) == 5  # the tone itself has no category


def test_the_split_does_not_depend_on_what_is_asked_for(root: Path) -> None:
    whole = load("emoji", root)
    for changes in ({"vendors": ["twitter"]}, {"tones": False}):
        part = drawn(load("emoji", root, **changes))
        assert all(part[split] <= groups for split, groups in drawn(whole).items())
    alone = load("emoji", root, vendors=["twitter"])
    assert alone.names == ["twitter"]
    assert alone.epoch_size == len(alone.domains["twitter"].splits["train"])


def test_labels_and_sizes(root: Path) -> None:
    data = load("emoji", root, label="subcategory", side=32)
    assert data.objectives[0].task.outputs == 99
    assert sum(len(s) for s in data.domains["google"].splits.values()) == 14
    train = data.domains["google"].splits["train"]
    assert isinstance(train, TensorTable)
    assert train.inputs.shape[1:] == (3, 32, 32)
    assert train.inputs.dtype == torch.uint8
    three = load("emoji-tasks", root)
    assert {t.name: t.outputs for t in three.tasks} == {"category": 9, "subcategory": 99, "skin-tone": 7}
    plain = load("emoji-tasks", root, tones=False)
    assert sum(len(s) for s in plain.domains["all"].splits.values()) == 2 * 7


def test_wrong_requests_are_named(root: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="did you mean 'category'"):
        load("emoji", root, label="categry")
    with pytest.raises(RequestError, match=r"holds no apple emoji.*`accept_licence`"):
        load("emoji", root, vendors=["google", "apple"])
    with pytest.raises(RequestError, match="did you mean 'google'"):
        load("emoji", root, vendors=["gogle"])
    missing = workloads.get("emoji").missing(tmp_path)
    assert missing is not None
    assert "scalarize data get emoji" in missing
    assert workloads.get("emoji").missing(root) is None
    with pytest.raises(RequestError, match=r"emoji-16\.0\.0\.pt: not there"):
        load("emoji", tmp_path)


def test_vendors_are_learned_by_heart(root: Path, overfit: Callable[..., dict[str, float]]) -> None:
    losses = overfit("emoji", root, steps=30, data__side=32)
    assert set(losses) == {"google", "twitter"}
    assert max(losses.values()) < 0.05


def test_tasks_are_learned_by_heart(root: Path, overfit: Callable[..., dict[str, float]]) -> None:
    losses = overfit("emoji-tasks", root, steps=40, data__side=32)
    assert set(losses) == {"category", "subcategory", "skin-tone"}
    assert max(losses.values()) < 0.1


def test_a_step_of_augmented_training_data(root: Path) -> None:
    domain = load("emoji", root, randaugment=True).domains["google"]
    batch = domain.splits["train"].batch(torch.arange(4))
    assert domain.augment is not None
    changed = domain.augment(batch, torch.Generator().manual_seed(0))
    assert changed.inputs.shape == batch.inputs.shape
    assert not torch.equal(changed.inputs, batch.inputs)
