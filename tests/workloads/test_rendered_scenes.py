"""Rendered scenes from a file as rendering leaves it: whole scenes held out, three tasks learned by heart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from scalarize import workloads
from scalarize.utils.errors import RequestError
from scalarize.workloads.datasets import rendered

WORKLOAD = workloads.get("rendered-scenes")


def test_whole_scenes_are_held_out_and_pixels_masked(fixtures: ModuleType, tmp_path: Path) -> None:
    fixtures.write_rendered(tmp_path)
    assert WORKLOAD.missing(tmp_path) is None
    data = WORKLOAD.load(WORKLOAD.recipe.data, tmp_path)
    splits: Any = data.domains["scenes"].splits
    scenes = {s: set(t.groups.tolist()) for s, t in splits.items()}
    assert [len(s) for s in scenes.values()] == [6, 1, 1]
    assert set.union(*scenes.values()) == set(range(8))
    batch = splits["train"].batch(torch.tensor([0, 5]))
    assert (batch.targets["segmentation"][:, :3] == -1).all()
    assert (batch.targets["segmentation"][:, 3:] >= 0).all()
    assert (batch.targets["depth"][:, 0, :3] == 0).all()
    lengths = torch.linalg.vector_norm(batch.targets["normals"][:, :, 3:], dim=1)
    torch.testing.assert_close(lengths, torch.ones_like(lengths), atol=0.01, rtol=0)
    assert set(data.constant_losses()) == {"segmentation", "depth", "normals"}


def test_it_is_learned_by_heart(fixtures: ModuleType, tmp_path: Path, overfit: Callable[..., dict[str, float]]) -> None:
    fixtures.write_rendered(tmp_path)
    settings = {"model__width": 0.0625, "model__dropout": 0.0}
    data = WORKLOAD.load(WORKLOAD.recipe.data, tmp_path)
    losses = overfit("rendered-scenes", tmp_path, steps=40, lr=1e-2, limit=8, **settings)
    constant = data.constant_losses()
    assert all(losses[task] < 0.6 * constant[task] for task in constant), (losses, constant)


@pytest.mark.parametrize("setting", ["frame=10", "frames=0", "frames=many", "seed=-1"])
def test_what_cannot_be_built_is_refused(command: Callable[..., Any], setting: str) -> None:
    answer = command("data", "get", "rendered-scenes", "--set", setting)
    assert answer.status == 2
    assert setting.partition("=")[0] in answer.err


def test_metrics_of_both_directions_are_not_averaged(
    fixtures: ModuleType, tmp_path: Path, command: Callable[..., Any]
) -> None:
    fixtures.write_rendered(tmp_path / "data")
    answer = command("compare", "rendered-scenes", "--methods", "uniform,unitary", "--epochs", 1)
    assert answer.status == 2
    assert "no average to compare by" in answer.err


def test_a_build_that_is_missing_or_damaged_is_named(fixtures: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="data get rendered-scenes"):
        WORKLOAD.load(WORKLOAD.recipe.data, tmp_path)
    path = fixtures.write_rendered(tmp_path) / rendered.FILE
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(RequestError, match=r"scenes-64\.pt: damaged"):
        WORKLOAD.load(WORKLOAD.recipe.data, tmp_path)
