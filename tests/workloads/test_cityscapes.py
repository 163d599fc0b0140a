"""Cityscapes from files in both published layouts: classes, inverse depth, and what is wrong named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from scalarize import workloads
from scalarize.tasks.task import Data
from scalarize.utils.errors import RequestError
from scalarize.workloads.datasets import cityscapes

WORKLOAD = workloads.get("cityscapes")


def load(root: Path, **more: Any) -> Data:
    return WORKLOAD.load({**WORKLOAD.recipe.data, "workers": 0, **more}, root)


@pytest.mark.parametrize("classes", [7, 19])
def test_arrays_are_read_as_stored(fixtures: ModuleType, tmp_path: Path, classes: int) -> None:
    folder = fixtures.write_cityscapes_arrays(tmp_path, classes)
    assert WORKLOAD.missing(tmp_path) is None
    splits = load(tmp_path, classes=classes).domains["streets"].splits
    assert {s: len(t) for s, t in splits.items()} == {"train": 8, "validation": 2, "test": 3}
    batch = splits["test"].batch(torch.tensor([2]))
    label = np.load(folder / "val" / ("label_7" if classes == 7 else "label") / "2.npy")
    assert torch.equal(batch.targets["segmentation"][0], torch.from_numpy(label).long())
    assert int(batch.targets["segmentation"].min()) == -1
    depth = np.load(folder / "val" / "depth" / "2.npy")[..., 0]
    assert torch.equal(batch.targets["depth"][0, 0], torch.from_numpy(depth))
    picture = np.load(folder / "val" / "image" / "2.npy")
    assert torch.equal(batch.inputs[0], torch.from_numpy((255 * picture).round().astype(np.uint8)).permute(2, 0, 1))


@pytest.mark.parametrize("classes", [7, 19])
def test_pictures_are_mapped_to_classes_and_inverse_metres(fixtures: ModuleType, tmp_path: Path, classes: int) -> None:
    folder = fixtures.write_cityscapes_pictures(tmp_path)
    source = load(tmp_path, classes=classes).domains["streets"].splits["test"]
    batch = source.batch(torch.tensor([0]))
    assert batch.inputs.shape == (1, 3, 128, 256)
    name = "val/aachen/aachen_000000_000019"
    with Image.open(folder / "gtFine" / f"{name}_gtFine_labelIds.png") as image:
        stored = np.asarray(image.resize((256, 128), Image.Resampling.NEAREST))
    found = batch.targets["segmentation"][0].numpy()
    known = {7: {7: 0, 10: 0, 11: 1, 17: 2, 21: 3, 23: 4, 24: 5, 25: 5, 26: 6, 33: 6, 4: -1}}
    known[19] = {7: 0, 8: 1, 9: -1, 11: 2, 17: 5, 18: -1, 23: 10, 24: 11, 26: 13, 28: 15, 31: 16, 33: 18}
    seen = 0
    for identifier, wanted in known[classes].items():
        seen += int((stored == identifier).sum())
        assert (found[stored == identifier] == wanted).all(), identifier
    assert seen > 1000
    with Image.open(folder / "disparity" / f"{name}_disparity.png") as image:
        disparity = np.asarray(image.resize((256, 128), Image.Resampling.NEAREST)).astype(np.float64)
    depth = batch.targets["depth"][0, 0].numpy()
    assert (depth[disparity == 0] == 0).all()
    near = disparity > 0
    np.testing.assert_allclose(1 / depth[near], 2262.52 * 0.209313 * 256 / (disparity[near] - 1), rtol=1e-5)


def test_a_step_of_the_papers_network(fixtures: ModuleType, tmp_path: Path) -> None:
    fixtures.write_cityscapes_arrays(tmp_path)
    data = load(tmp_path)
    torch.manual_seed(0)
    model: Any = WORKLOAD.build(WORKLOAD.recipe.model, data)
    optimizer = torch.optim.Adam(model.parameters(), 1e-4)
    batch = data.domains["streets"].splits["train"].batch(torch.arange(2))
    inputs = batch.inputs[..., 40:72, 40:104]  # a part of the view, since full width takes its time
    targets = {name: target[..., 40:72, 40:104] for name, target in batch.targets.items()}
    losses = []
    for _ in range(2):
        representation = model.encode(inputs)
        assert representation.shape == (2, 2048, 4, 8)  # dilated: an eighth of each side
        predictions = model.decode(representation, data.names)
        assert {n: tuple(p.shape) for n, p in predictions.items()} == {
            "segmentation": (2, 7, 32, 64),
            "depth": (2, 1, 32, 64),
        }
        loss = torch.stack([t.loss(predictions[t.name], targets[t.name]) for t in data.tasks]).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[1] < losses[0]


def test_the_command_tests_each_metric_at_its_own_epoch(
    fixtures: ModuleType, tmp_path: Path, command: Callable[..., Any]
) -> None:
    fixtures.write_cityscapes_arrays(tmp_path / "data", counts=(5, 2))
    small = ("model.depth=26", "model.width=0.05", "model.head=segnet", "batch_size=4", "data.workers=0")
    words = [w for setting in small for w in ("--set", setting)]
    answer = command("train", "cityscapes", "--epochs", 2, *words, "--out", "o", "--json")
    assert answer.status == 0, answer.err
    result = answer.json
    assert "average" not in result["test"]  # a share and an error have no average
    kept = {"segmentation": {"miou", "pixel-accuracy", "loss"}, "depth": {"absolute-error", "relative-error", "loss"}}
    assert {task: set(values) for task, values in result["measures"]["test"].items()} == kept
    assert set(result["epochs"]) == {"average", *(f"{task}/{m}" for task, names in kept.items() for m in names)}
    rows = [line for line in (tmp_path / "o/records.jsonl").read_text().splitlines() if "relative-error" in line]
    assert len(rows) == 3  # two epochs of validation, one test


ARRAYS, PICTURES = "write_cityscapes_arrays", "write_cityscapes_pictures"
CITY = "train/bochum/bochum_000001_000019"


def _wrong_class(path: Path) -> None:
    label = np.load(path)
    label[50, 50] = 12
    np.save(path, label)


def _wrong_identifier(path: Path) -> None:
    with Image.open(path) as image:
        changed = np.asarray(image).copy()
    changed[:20, :20] = 77
    Image.fromarray(changed).save(path)


def _unclosed_header(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:128].replace(b"}", b" ") + content[128:])


def _header(old: bytes, new: bytes) -> Callable[[Path], Any]:
    return lambda path: path.write_bytes(path.read_bytes().replace(old, new, 1))


def _number(number: float) -> Callable[[Path], Any]:
    def change(path: Path) -> None:
        values = np.load(path)
        values[50, 50, 0] = number
        np.save(path, values)

    return change


@pytest.mark.parametrize(
    ("layout", "name", "change", "message"),
    [
        (ARRAYS, "train/label_7/4.npy", Path.unlink, "no such file"),
        (ARRAYS, "train/image/4.npy", lambda p: p.write_bytes(p.read_bytes()[:200]), "cannot be read as an array"),
        (ARRAYS, "train/label_7/4.npy", _wrong_class, "holds class 12; 7 classes are 0 to 6"),
        (ARRAYS, "train/depth/4.npy", lambda p: np.save(p, np.zeros((2, 2))), "expected numbers of shape"),
        (ARRAYS, "train/depth/4.npy", lambda p: np.save(p, np.array([{}]), allow_pickle=True), "cannot be read"),
        (ARRAYS, "train/depth/4.npy", _unclosed_header, "cannot be read as an array"),
        (ARRAYS, "train/depth/4.npy", _header(b"'fortran", b"b'ortran"), "cannot be read as an array"),
        (ARRAYS, "train/depth/4.npy", _header(b"<f4", b",f4"), "cannot be read as an array"),
        (ARRAYS, "train/depth/4.npy", lambda p: p.write_bytes(b"PK\3\4 and no more"), "cannot be read as an array"),
        (ARRAYS, "val/depth/1.npy", _unclosed_header, "cannot be read as an array"),  # read by a worker
        (ARRAYS, "train/depth/4.npy", _number(np.nan), "1 of its numbers are nan or infinite"),
        (ARRAYS, "train/depth/4.npy", _number(np.inf), "1 of its numbers are nan or infinite"),
        (ARRAYS, "train/image/4.npy", _number(np.nan), "1 of its numbers are nan or infinite"),
        (ARRAYS, "val/depth/1.npy", _number(np.nan), "1 of its numbers are nan or infinite"),
        (PICTURES, f"gtFine/{CITY}_gtFine_labelIds.png", Path.unlink, "no such file"),
        (PICTURES, f"gtFine/{CITY}_gtFine_labelIds.png", _wrong_identifier, "holds label 77"),
        (
            PICTURES,
            f"leftImg8bit/{CITY}_leftImg8bit.png",
            lambda p: p.write_bytes(p.read_bytes()[:300]),
            "cannot be read as an image",
        ),
    ],
)
def test_what_is_wrong_is_named_in_one_line(
    fixtures: ModuleType,
    tmp_path: Path,
    command: Callable[..., Any],
    layout: str,
    name: str,
    change: Callable[[Path], Any],
    message: str,
) -> None:
    path = getattr(fixtures, layout)(tmp_path / "data") / name
    change(path)
    # No data.workers: by default worker processes read, and must hand the message over.
    small = ("model.depth=26", "model.width=0.05", "model.head=segnet", "batch_size=4")
    answer = command("train", "cityscapes", "--epochs", 1, *(w for setting in small for w in ("--set", setting)))
    assert answer.status == 2
    assert message in answer.err
    assert str(path) in answer.err
    assert answer.err.splitlines()[-1].startswith("scalarize: ")
    assert str(path) in answer.err.splitlines()[-1]


def test_missing_data_and_wrong_settings_are_named(fixtures: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no Cityscapes there"):
        load(tmp_path)
    missing = WORKLOAD.missing(tmp_path)
    assert missing is not None
    assert "cityscapes-dataset.com" in missing
    fixtures.write_cityscapes_arrays(tmp_path, counts=(5, 1))
    with pytest.raises(RequestError, match=r"data\.classes"):
        load(tmp_path, classes=8)
    with pytest.raises(RequestError, match=r"^`settings` data\.workers=-1: .* 0 or more$"):
        load(tmp_path, workers=-1)
    with pytest.raises(RequestError, match=r"model\.head"):
        WORKLOAD.build({**WORKLOAD.recipe.model, "head": "unet", "width": 0.05}, load(tmp_path))
    (tmp_path / "cityscapes" / "val" / "image" / "0.npy").unlink()
    with pytest.raises(RequestError, match=r"val/image: no \*\.npy there"):
        load(tmp_path)


def test_the_class_tables_are_cityscapes_own() -> None:
    assert list(cityscapes.class_table(19)).count(-1) == 35 - 19
    categories = cityscapes.class_table(7)
    assert [int((categories == k).sum()) for k in range(7)] == [4, 6, 4, 2, 1, 2, 8]
