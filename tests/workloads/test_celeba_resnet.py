"""CelebA with the ResNet-18 of Sener and Koltun."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from scalarize import workloads
from scalarize.workloads.models.resnet import count

WORKLOAD = workloads.get("celeba-resnet")


def test_the_network_and_recipe_are_the_papers(fixtures: ModuleType, tmp_path: Path) -> None:
    fixtures.write_celeba(tmp_path)
    data = WORKLOAD.load(WORKLOAD.recipe.data, tmp_path)
    model: Any = WORKLOAD.build(WORKLOAD.recipe.model, data)
    batch = data.domains["faces"].splits["train"].batch(torch.arange(2))
    assert batch.inputs.shape == (2, 3, 64, 64)
    assert model.encode(batch.inputs).shape == (2, 2048)  # 512 maps of 2 x 2
    assert count(model) == 11_168_832 + 40 * 2049  # a ResNet-18 with a 3 x 3 stem and without its classifier
    rates = [m.p for m in model.modules() if isinstance(m, torch.nn.Dropout | torch.nn.Dropout2d)]
    assert rates == [0.25, *[0.5] * 8, 0.5]  # after the stem, in each of eight blocks, of the features
    recipe = WORKLOAD.recipe
    assert (recipe.optimizer.name, recipe.optimizer.lr, recipe.optimizer.weight_decay) == ("adam", 1e-3, 1e-3)
    assert (recipe.batch_size, recipe.epochs, recipe.schedule.decay, recipe.selection) == (128, 50, 0.95, "best")


def test_it_is_learned_by_heart(fixtures: ModuleType, tmp_path: Path, overfit: Callable[..., dict[str, float]]) -> None:
    fixtures.write_celeba(tmp_path, 10)
    losses = overfit("celeba-resnet", tmp_path, steps=25, lr=3e-3, model__width=0.125, model__dropout=0.0)
    assert len(losses) == 40
    assert sum(losses.values()) / 40 < 0.2


def test_a_damaged_face_is_named(fixtures: ModuleType, tmp_path: Path, command: Callable[..., Any]) -> None:
    path = fixtures.write_celeba(tmp_path / "data") / "img_align_celeba" / "000003.jpg"
    path.write_bytes(path.read_bytes()[:400])
    answer = command("train", "celeba-resnet", "--epochs", 1)
    assert answer.status == 2
    assert str(path) in answer.err
    (tmp_path / "data/celeba/list_attr_celeba.txt").unlink()
    answer = command("train", "celeba-resnet", "--epochs", 1)
    assert answer.status == 2
    assert "list_attr_celeba.txt" in answer.err


@pytest.mark.parametrize("side", [-32, 0, 16, 48, 60])
def test_a_side_that_the_network_cannot_divide_is_refused(
    fixtures: ModuleType, tmp_path: Path, command: Callable[..., Any], side: int
) -> None:
    fixtures.write_celeba(tmp_path / "data")
    answer = command("train", "celeba-resnet", "--epochs", 1, "--set", f"data.side={side}", "--set", "model.width=0.05")
    assert answer.status == 2
    assert answer.err.splitlines()[-1].startswith(f"scalarize: --set data.side={side}: ")
    assert "a positive multiple of 32" in answer.err


@pytest.mark.parametrize("side", [32, 96])
def test_other_multiples_of_32_fit_the_heads(fixtures: ModuleType, tmp_path: Path, side: int) -> None:
    fixtures.write_celeba(tmp_path)
    data = WORKLOAD.load({"side": side}, tmp_path)
    model: Any = WORKLOAD.build({"width": 0.05, "dropout": 0.5}, data)
    batch = data.domains["faces"].splits["train"].batch(torch.arange(2))
    assert len(model.decode(model.encode(batch.inputs), data.names)) == 40


@pytest.mark.parametrize("level", ["representation", "parameters"])
def test_a_step_at_both_levels(fixtures: ModuleType, tmp_path: Path, command: Callable[..., Any], level: str) -> None:
    fixtures.write_celeba(tmp_path / "data")
    words = ("--set", "model.width=0.05", "--set", "batch_size=8", "--set", f"level={level}", "--json")
    answer = command("train", "celeba-resnet", "--method", "imtl-g", "--epochs", 1, *words)
    assert answer.status == 0, answer.err
    assert 0 <= answer.json["test"]["average"] <= 1
