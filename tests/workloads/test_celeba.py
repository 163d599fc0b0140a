"""CelebA from files in its published layout: 40 tasks, or 8 groups."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch

from scalarize import workloads
from scalarize.tasks.task import Data
from scalarize.utils.errors import RequestError
from scalarize.workloads.celeba import ATTRIBUTES, GROUPS, attributes_task


def load(name: str, root: Path) -> Data:
    workload = workloads.get(name)
    return workload.load(workload.recipe.data, root)


def test_groups_are_those_of_table_a() -> None:
    assert len(ATTRIBUTES) == len(set(ATTRIBUTES)) == 40
    assert [len(g) for g in GROUPS.values()] == [4, 6, 4, 4, 6, 6, 1, 1]
    assert ATTRIBUTES[0] == "5_o_Clock_Shadow"
    assert ATTRIBUTES[-1] == "Young"


def test_values_partitions_and_cache(fixtures: ModuleType, tmp_path: Path) -> None:
    folder = fixtures.write_celeba(tmp_path)
    data = load("celeba", tmp_path)
    assert data.names == list(ATTRIBUTES)
    splits = data.domains["faces"].splits
    assert {s: len(t) for s, t in splits.items()} == {"train": 8, "validation": 2, "test": 2}
    batch = splits["train"].batch(torch.arange(8))
    assert batch.inputs.shape == (8, 3, 32, 32)
    for a, name in enumerate(ATTRIBUTES):
        assert batch.targets[name].tolist() == [[float(k * 2654435761 >> a & 1)] for k in range(1, 9)]
    (folder / "img_align_celeba" / "000001.jpg").unlink()
    assert (folder / "faces-32.pt").is_file()
    from scalarize.workloads import celeba

    celeba.read.cache_clear()
    assert torch.equal(
        load("celeba", tmp_path).domains["faces"].splits["train"].batch(torch.arange(8)).inputs, batch.inputs
    )


def test_a_groups_loss_is_a_sum_and_its_metric_the_mean() -> None:
    task = attributes_task("two", 2)
    prediction, target = torch.tensor([[2.0, -1.0], [3.0, 1.0]]), torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    each = [torch.nn.functional.binary_cross_entropy_with_logits(prediction[:, k], target[:, k]) for k in (0, 1)]
    torch.testing.assert_close(task.loss(prediction, target), each[0] + each[1])
    metric = task.metric()
    metric.update(prediction, target)
    assert metric.compute() == 0.75
    assert task.constant_loss is not None
    mixed = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    assert task.constant_loss(mixed) == pytest.approx(0.6931, abs=1e-3)


@pytest.mark.parametrize(
    ("name", "tasks"), [pytest.param("celeba", 40, marks=pytest.mark.slow), ("celeba-8", 8)], ids=["40", "8"]
)
def test_it_is_learned_by_heart(
    fixtures: ModuleType, tmp_path: Path, overfit: Callable[..., dict[str, float]], name: str, tasks: int
) -> None:
    fixtures.write_celeba(tmp_path)
    losses = overfit(name, tmp_path, steps=30, lr=5e-3, model__depth=3, model__width=0.25)
    assert len(losses) == tasks
    each = [loss / len(GROUPS.get(task, ("itself",))) for task, loss in losses.items()]
    assert sum(each) / tasks < 0.2  # 0.69 knows nothing
    assert max(each) < 0.45


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("list_attr_celeba.txt", None, "no such file"),
        ("list_attr_celeba.txt", lambda b: b[: len(b) // 2], "line|announces"),
        (
            "list_attr_celeba.txt",
            lambda b: b"\n".join(b.splitlines()[:-2]),
            "announces 12 images, 10 follow: cut short",
        ),
        ("list_attr_celeba.txt", lambda b: b.replace(b"Young", b"Yuong"), "lacks the attribute Young"),
        ("list_eval_partition.txt", None, "no such file"),
        ("list_eval_partition.txt", lambda b: b[:-20], r"line 11 should be|no partition for 0000(11|12)\.jpg"),
        ("list_eval_partition.txt", lambda b: b.replace(b" 2", b" 1"), "no face is in the test partition"),
        ("img_align_celeba/000004.jpg", None, "no such file"),
        ("img_align_celeba/000004.jpg", lambda b: b[: len(b) // 2], "cannot be read as an image"),
        ("img_align_celeba/000004.jpg", lambda b: b"text", "cannot be read as an image"),
    ],
)
def test_what_is_wrong_is_named(
    fixtures: ModuleType, tmp_path: Path, name: str, change: Callable[[bytes], bytes] | None, message: str
) -> None:
    folder = fixtures.write_celeba(tmp_path)
    path = folder / name
    if change is None:
        path.unlink()
    else:
        path.write_bytes(change(path.read_bytes()))
    with pytest.raises(RequestError, match=message) as error:
        load("celeba-8", tmp_path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_missing_says_where_to_put_it(fixtures: ModuleType, tmp_path: Path) -> None:
    workload = workloads.get("celeba")
    missing = workload.missing(tmp_path)
    assert missing is not None
    assert missing.startswith(str(tmp_path / "celeba" / "list_attr_celeba.txt"))
    fixtures.write_celeba(tmp_path)
    assert workload.missing(tmp_path) is None
