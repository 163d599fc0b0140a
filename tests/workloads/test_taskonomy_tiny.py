"""Taskonomy from files in its published layout: seven normalised dense tasks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image

from scalarize import workloads
from scalarize.tasks.task import Data
from scalarize.utils.errors import RequestError
from scalarize.workloads.datasets import taskonomy

NORMAL = "normal/ackermanville/point_1_view_0_domain_normal.png"
WORKLOAD = workloads.get("taskonomy-tiny")


def load(root: Path, side: int = 32) -> Data:
    return WORKLOAD.load({**WORKLOAD.recipe.data, "side": side, "workers": 0}, root)


def test_targets_have_mean_0_and_variance_1_over_training(fixtures: ModuleType, tmp_path: Path) -> None:
    fixtures.write_taskonomy(tmp_path)
    assert WORKLOAD.missing(tmp_path) is None
    for _ in range(2):  # the second time from the statistics that were kept
        data = load(tmp_path)
        batch = data.domains["views"].splits["train"].batch(torch.arange(3))
        assert list(batch.targets) == data.names == list(taskonomy.CHANNELS)
        for task in data.tasks:
            values = batch.targets[task.name].transpose(0, 1).flatten(1)
            assert len(values) == task.outputs
            torch.testing.assert_close(values.mean(1), torch.zeros(task.outputs), atol=1e-3, rtol=0)
            torch.testing.assert_close(values.var(1, unbiased=False), torch.ones(task.outputs), atol=1e-3, rtol=0)
    assert (tmp_path / "taskonomy" / "statistics-32.json").is_file()
    assert data.constant_losses()["normal"] < 1.0


def test_raw_values_are_as_stored(fixtures: ModuleType, tmp_path: Path) -> None:
    folder = fixtures.write_taskonomy(tmp_path, side=32)
    path = folder / "depth_zbuffer/beechwood/point_1_view_0_domain_depth_zbuffer.png"
    with Image.open(path) as image:
        stored = np.asarray(image)
    assert stored.dtype == np.uint16
    assert stored.max() > 8000
    read = taskonomy.annotation(path, "depth_zbuffer", 32)
    assert torch.equal(read[0], torch.from_numpy(stored.astype(np.float32)).clamp(max=8000))
    curvature = taskonomy.picture(tmp_path, "principal_curvature", "corozal/point_0_view_0")
    assert taskonomy.annotation(curvature, "principal_curvature", 16).shape == (2, 16, 16)


def test_a_mirrored_view_has_mirrored_normals(fixtures: ModuleType, tmp_path: Path) -> None:
    fixtures.write_taskonomy(tmp_path)
    domain = load(tmp_path).domains["views"]
    batch = domain.splits["train"].batch(torch.tensor([0] * 8))
    assert domain.augment is not None
    turned = domain.augment(batch, torch.Generator().manual_seed(0))
    changed = [k for k in range(8) if not torch.equal(turned.inputs[k], batch.inputs[k])]
    assert 0 < len(changed) < 8
    scales = domain.splits["train"].decode.scales["normal"]  # type: ignore[attr-defined]
    for k in changed:
        assert torch.equal(turned.targets["reshading"][k], batch.targets["reshading"][k].flip(-1))
        raw, before = (t["normal"][k, 0] * scales[1][0] + scales[0][0] for t in (turned.targets, batch.targets))
        torch.testing.assert_close(raw, 255 - before.flip(-1), atol=1e-2, rtol=0)
        assert torch.equal(turned.targets["normal"][k, 1:], batch.targets["normal"][k, 1:].flip(-1))
    kept = next(k for k in range(8) if k not in changed)
    assert torch.equal(turned.targets["normal"][kept], batch.targets["normal"][kept])


def test_it_is_learned_by_heart(fixtures: ModuleType, tmp_path: Path, overfit: Callable[..., dict[str, float]]) -> None:
    fixtures.write_taskonomy(tmp_path, side=64, detail=2)
    small = {"data__side": 64, "data__workers": 0, "model__width": 0.25, "model__shared_decoder": 2}
    losses = overfit("taskonomy-tiny", tmp_path, steps=40, lr=1e-2, **small)
    assert len(losses) == 7
    assert sum(losses.values()) / 7 < 0.35  # 0.8 is what a constant reaches


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("train_val_test_tiny.csv", None, "no such file"),
        ("train_val_test_tiny.csv", lambda b: b[:-4], "line 4 should hold id,train,val,test"),
        ("train_val_test_tiny.csv", lambda b: b.replace(b"0,0,1", b"0,1,0"), "names no building for test"),
        ("normal/ackermanville/point_1_view_0_domain_normal.png", None, "no such file"),
        (
            "normal/ackermanville/point_1_view_0_domain_normal.png",
            lambda b: b[: len(b) // 2],
            "cannot be read as an image",
        ),
    ],
)
def test_what_is_wrong_is_named(
    fixtures: ModuleType, tmp_path: Path, name: str, change: Callable[[bytes], bytes] | None, message: str
) -> None:
    path = fixtures.write_taskonomy(tmp_path) / name
    if change is None:
        path.unlink()
    else:
        path.write_bytes(change(path.read_bytes()))
    with pytest.raises(RequestError, match=message) as error:
        load(tmp_path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_an_empty_building_and_a_gray_normal_are_named(fixtures: ModuleType, tmp_path: Path) -> None:
    folder = fixtures.write_taskonomy(tmp_path)
    path = folder / NORMAL
    Image.new("L", (40, 40)).save(path)
    with pytest.raises(RequestError, match="1 channels, expected 3 of normal"):
        load(tmp_path)
    (folder / "train_val_test_tiny.csv").write_text("id,train,val,test\nnowhere,1,1,1\n")
    with pytest.raises(RequestError, match=r"rgb/nowhere: no point_\*_view"):
        load(tmp_path)


def test_the_download_tools_folders_are_read_and_a_lost_building_may_be_absent(
    fixtures: ModuleType, tmp_path: Path
) -> None:
    folder = fixtures.write_taskonomy(tmp_path)
    plain = load(tmp_path).domains["views"].splits["train"].batch(torch.arange(3))
    with open(folder / taskonomy.LIST, "a") as handle:
        handle.write("\rwoodbine,1,0,0")
    for kind in ("rgb", *taskonomy.CHANNELS):
        (folder / kind).rename(folder / "kind")
        (folder / kind).mkdir()
        (folder / "kind").rename(folder / kind / "taskonomy")
    assert WORKLOAD.missing(tmp_path) is None
    deeper = load(tmp_path).domains["views"].splits["train"]
    assert len(deeper) == 3
    assert torch.equal(deeper.batch(torch.arange(3)).inputs, plain.inputs)
