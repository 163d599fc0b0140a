"""DomainNet from files in its published layout, in threads and in worker processes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch

from scalarize import workloads
from scalarize.tasks.samples import Streaming
from scalarize.tasks.task import Data
from scalarize.utils.errors import RequestError

WORKLOAD = workloads.get("domainnet")


def load(root: Path, **changes: object) -> Data:
    return WORKLOAD.load({**WORKLOAD.recipe.data, "side": 64, "workers": 0, **changes}, root)


def test_lists_are_read_and_an_epoch_is_reals(fixtures: ModuleType, tmp_path: Path) -> None:
    fixtures.write_domainnet(tmp_path)
    assert WORKLOAD.missing(tmp_path) is None
    data = load(tmp_path)
    assert data.names == ["clipart", "infograph", "painting", "quickdraw", "real", "sketch"]
    assert data.epoch_size == 3
    assert not data.has("validation")
    batch = data.domains["sketch"].splits["test"].batch(torch.tensor([2, 0]))
    assert batch.targets["object"].tolist() == [200, 0]
    assert batch.inputs.shape == (2, 3, 64, 64)
    assert batch.inputs.dtype == torch.uint8
    augment = data.domains["real"].augment
    assert augment is not None
    assert augment(batch, torch.Generator().manual_seed(0)).inputs.shape == (2, 3, 64, 64)
    losses = data.constant_losses()
    assert losses["real"] == pytest.approx(1.0986, abs=1e-3)


@pytest.mark.parametrize("workers", [0, 2])
def test_workers_and_threads_give_the_same_batches(fixtures: ModuleType, tmp_path: Path, workers: int) -> None:
    fixtures.write_domainnet(tmp_path)
    source = load(tmp_path, workers=workers).domains["quickdraw"].splits["train"].select(torch.tensor([2, 0]))
    assert isinstance(source, Streaming)
    state = torch.get_rng_state()
    wanted = [torch.tensor([0, 1]), torch.tensor([1])]
    streamed = list(source.stream(wanted))
    assert [b.targets["object"].tolist() for b in streamed] == [[200, 0], [0]]
    for batch, indices in zip(streamed, wanted, strict=True):
        assert torch.equal(batch.inputs, source.batch(indices).inputs)
    assert torch.equal(torch.get_rng_state(), state)


def test_it_is_learned_by_heart(fixtures: ModuleType, tmp_path: Path, overfit: Callable[..., dict[str, float]]) -> None:
    fixtures.write_domainnet(tmp_path)
    losses = overfit(
        "domainnet", tmp_path, steps=15, data__side=64, data__workers=0, model__depth=26, model__width=0.25
    )
    assert len(losses) == 6
    assert max(losses.values()) < 0.3


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("real_train.txt", None, "no such file"),
        ("sketch_test.txt", lambda b: b[:-5], "line 3 should be a picture's path and a label"),
        (
            "sketch_test.txt",
            lambda b: b.replace(b" 200", b" 345"),
            "line 3 should be a picture's path and a label below 345",
        ),
        ("sketch_test.txt", lambda b: b"", "holds no lines"),
        ("clipart/the class 0/clipart_train_0.jpg", None, r"not there, though clipart_train\.txt lists it"),
    ],
)
def test_wrong_lists_are_named(
    fixtures: ModuleType, tmp_path: Path, name: str, change: Callable[[bytes], bytes] | None, message: str
) -> None:
    path = fixtures.write_domainnet(tmp_path) / name
    if change is None:
        path.unlink()
    else:
        path.write_bytes(change(path.read_bytes()))
    with pytest.raises(RequestError, match=message) as error:
        load(tmp_path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_a_bad_picture_is_named_even_from_a_worker(
    fixtures: ModuleType, tmp_path: Path, workers: int, damage: str
) -> None:
    path = fixtures.write_domainnet(tmp_path) / "real/the class 1/real_train_1.jpg"
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:300])
    source = load(tmp_path, workers=workers).domains["real"].splits["train"]
    assert isinstance(source, Streaming)
    for read in (lambda: source.batch(torch.tensor([0, 1])), lambda: list(source.stream([torch.tensor([0, 1])]))):
        with pytest.raises(RequestError) as error:
            read()
        assert str(error.value).startswith(f"{path}: ")
        assert "\n" not in str(error.value)
