"""The further sections of the step costs: the settings are what their rows say."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn

from scripts import load

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def more() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
        return load("benchmarks/step_cost_more.py")


def test_a_norm_takes_the_place_of_batch_norm(more: ModuleType) -> None:
    kinds = {type(m) for m in more.Grouped().modules()}
    assert nn.GroupNorm in kinds
    assert nn.BatchNorm2d not in kinds


def test_settings_hold_what_they_say(more: ModuleType) -> None:
    data, build, size = more.domains("vit", 6)
    assert len(data.domains) == 6
    assert size % 6 == size % 16 == 0
    assert build().decode(build().encode(torch.zeros(2, 3, 32, 32)), ["class"])["class"].shape == (2, 2)
    data, _, _ = more.labels(8, 0.3)
    masks = data.domains["table"].splits["train"].labelled
    assert len(masks) == 8
    assert all(0.25 < float(m.float().mean()) < 0.35 for m in masks.values())


def test_checkpoints_change_no_number(more: ModuleType) -> None:
    torch.manual_seed(0)
    encoder, x = more.base.ViT(), torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(more.Checkpointed(encoder)(x), encoder(x))


def test_ratios_are_to_the_bare_step_beside(more: ModuleType) -> None:
    ticks = iter(range(10_000))
    calls: list[str] = []

    def bare() -> None:
        calls.append("bare")

    def slow() -> None:
        calls.append("slow")
        for _ in range(2):
            next(ticks)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(more.time, "process_time", lambda: float(next(ticks)))
        rows = more._ratios(bare, {"slow": slow}, 0.0)
    assert rows["slow"]["to_bare"] == (3.0, 3.0, 3.0)
    assert calls[2:] == ["bare", "slow"] * 3
    lines = more.table([{"setting": "s", "T": 2, "candidate": "slow", **rows["slow"]}], memory=False)
    assert lines[-1] == "| s | 2 | slow | 3000.0 | 3.000 (3.000 to 3.000) |"
