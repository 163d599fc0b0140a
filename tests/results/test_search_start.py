"""The page on starts from smaller models counts what a search costs in trainings, each at its own price."""

from __future__ import annotations

from types import ModuleType

import pytest


def test_savings_are_shares_of_the_default_searchs_trainings(benchmark: ModuleType) -> None:
    units = []
    for shift in (0.0, 0.01, 0.03):
        arms = {"small": {"score": 0.5, "test": 0.5, "trainings": 8.0}}
        for arm, (members, _) in benchmark.ARMS.items():
            gain = 0.02 if arm == "start, N = 12" else 0.0
            arms[arm] = {"score": 0.6 + shift + gain, "test": 0.6 + shift, "trainings": members * 2 / 3}
        units.append(arms)
    text = benchmark.report("python x", units, [0.2, 0.3, 0.4])
    assert "Made by `python x`: 3 units" in text
    assert "takes 0.30 [0.05, 0.55]" in text
    assert (
        "small search costs 30% of the default one with 12\nmembers, and with a started one of 6 members after it 80%."
        in text
    )
    assert "- score, `start, N = 12` less `default, N = 12`: +2.00" in text


@pytest.mark.slow
def test_every_round_trains_both(benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark, "ROUNDS", 2)
    assert [ratio > 0 for ratio in benchmark.cost_of_small("rand-hie")] == [True, True]
