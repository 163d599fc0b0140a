"""The benchmark of the data pipeline: both ways do the same work, and the factor is best against best."""

from __future__ import annotations

from types import ModuleType

import torch


def test_both_ways_give_standardised_images(benchmark: ModuleType) -> None:
    images = benchmark.smooth(4)
    assert images.dtype == torch.uint8
    for from_pil in (True, False):
        one, _ = benchmark.Plain(images, from_pil)[0]
        assert one.shape == (3, 32, 32)
        assert one.dtype == torch.float32
        assert one.abs().max() < 3
    assert benchmark.plain(benchmark.smooth(512), 0, False) > 0
    assert benchmark.batched(benchmark.smooth(512), 1, 1) > 0


def test_the_factor_is_best_against_best(benchmark: ModuleType) -> None:
    rates = {
        "torchvision a": 100.0,
        "torchvision b": 200.0,
        "scalarize, 1 threads": 1500.0,
        "scalarize, 2 threads": 900.0,
    }
    text = benchmark.report(rates, 3)
    assert "**7.5 times**" in text
    assert "| torchvision b | 200 |" in text
