"""The scripts behind results/peers.md: the loops take the same steps, and the page has all rows."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

pytest.importorskip("torchjd")

RESULTS = Path(__file__).resolve().parents[2] / "results"
if str(RESULTS) not in sys.path:
    sys.path.append(str(RESULTS))  # last: no script there may hide a package

import peers_loops  # noqa: E402

PEERS = ("scalarize", "TorchJD")  # LibMTL is a checkout, which the tests do without


@pytest.fixture(scope="module")
def splits() -> dict[str, tuple[torch.Tensor, dict[str, torch.Tensor]]]:
    g = torch.Generator().manual_seed(0)
    return {
        split: (
            torch.randn(256, 1, 28, 28, generator=g),
            {t: torch.randint(10, (256,), generator=g) for t in ("left", "right")},
        )
        for split in ("train", "validation", "test")
    }


def test_batches_come_in_another_order_each_epoch_and_the_same_for_everybody() -> None:
    inputs, labels = torch.arange(10.0), {"a": torch.arange(10)}
    once, again = (peers_loops.Batches(inputs, labels, 4, seed=1) for _ in range(2))
    first = [[batch.tolist() for batch, _ in once] for _ in range(2)]
    assert first == [[batch.tolist() for batch, _ in again] for _ in range(2)]
    assert first[0] != first[1]
    assert len(once) == len(first[0]) == 2


def test_all_rows_are_measured_and_equal_rules_take_equal_steps(benchmark: ModuleType, splits: object) -> None:
    rows = benchmark.measure(splits, 1, 1, 0.02, PEERS)
    assert [r["row"] for r in rows] == list(peers_loops.METHODS)
    for r in rows:
        assert r["first"]["TorchJD"][0] < 2e-3, r["row"]  # CAGrad's solver there stops early
        assert r["first"]["scalarize"] == [0.0]
        assert r["accuracy"]["scalarize"] == pytest.approx(r["accuracy"]["TorchJD"], abs=1.0)
    text = benchmark.page(rows, argparse.Namespace(seeds=1, epochs=1, share=0.1, lr=0.02), PEERS)
    assert all(text.count(f"| {name} |") == 3 for name in peers_loops.METHODS)
    assert "epoch that is reported" not in text


def test_a_rule_that_is_another_one_is_seen(benchmark: ModuleType, splits: object) -> None:
    start = benchmark.one_step(splits, 0, 0.02)
    a = peers_loops.trained(start, "scalarize", "MGDA")
    b = peers_loops.trained(start, "scalarize", "sum of the losses")
    assert benchmark.distance(start, a, b) > 0.01
