"""The page on the Gramian says what its tables allow to say."""

from __future__ import annotations

from types import ModuleType

import pytest
import torch


@pytest.mark.parametrize(
    ("cell", "word"), [("+2.00 ± 1.00", "better"), ("-2.00 ± 1.00", "worse"), ("-0.50 ± 1.00", "no")]
)
def test_the_verdict_follows_the_interval(benchmark: ModuleType, cell: str, word: str) -> None:
    rows = ["| 30% | mean of the losses | 0.7 (0.01) |  | 1.0 |", f"| 30% | mgda | 0.7 (0.01) | {cell} | 4.0 |"]
    assert benchmark.verdict(rows).startswith(f"`mgda` at 30% flipped: {word}")
    assert benchmark.verdict(rows).endswith("illustration.")


def test_area_under_the_curve(benchmark: ModuleType) -> None:
    score, y = torch.tensor([0.1, 0.4, 0.3, 0.8, 9.0]), torch.tensor([0.0, 0.0, 1.0, 1.0, 0.0])
    assert benchmark.auc(score, y, torch.arange(4)) == 0.75


def test_only_training_labels_are_flipped(benchmark: ModuleType) -> None:
    (_, plain, rows), (_, noisy, _) = (benchmark.labels(0, noise) for noise in (0.0, 0.3))
    share = {split: float((plain != noisy)[at].float().mean()) for split, at in rows.items()}
    assert 0.28 < share.pop("train") < 0.32
    assert set(share.values()) == {0.0}


def test_samples_are_measured_beside_the_engine(benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark, "SAMPLES", [("perceptron 8", 4, 2)])
    (row,) = benchmark.samples(1)
    assert row.startswith("| perceptron 8 | 4 |")
    assert float(row.split("|")[-2]) < 1e-5


def test_goals_that_were_missed_are_named(benchmark: ModuleType) -> None:
    step = "| net | 8 | 3 | mgda | 1.0 | 3.4 (3.3 to 3.5) | 0.65 (0.64 to 0.66) | 24 (0.2) | floor <= {} |"
    engine = "| net | 64 | 1.0 | 2.0 | 0.4 (1/2.5) | 1/{} | 1.0 | 1 | 2 | 1e-07 |"
    assert benchmark.missed([step.format(0.7)], [engine.format(2)]) == "All goals were reached."
    text = benchmark.missed([step.format(0.6)], [engine.format(3)])
    assert text.startswith("Missed goals: net, T = 8, mgda: 0.65 to floor, wanted 0.6; samples, net: 0.40 of")
