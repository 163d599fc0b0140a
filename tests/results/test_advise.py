"""The page on advices: worlds with nothing to find, worlds with something, and null sets that are null."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from scalarize.search.toy_worlds import World
from scalarize.weights.policy import Policy

RESULTS = Path(__file__).parents[2] / "results"
if str(RESULTS) not in sys.path:
    sys.path.append(str(RESULTS))  # last: no script there may hide a package

EVEN = Policy.constant(dict.fromkeys("abcd", 1.0))


def test_answers_in_worlds_are_kept_and_mostly_right(benchmark: ModuleType, tmp_path: Path) -> None:
    flat = benchmark.worlds("flat", 8, tmp_path)
    assert sum(answer in ("rule", "search") for answer in flat) <= 1
    found = benchmark.worlds("a rule, 0.10 and noise 0.02", 3, tmp_path)
    assert found == ["rule"] * 3
    kept = (tmp_path / "worlds.jsonl").read_bytes()
    assert benchmark.worlds("flat", 8, tmp_path) == flat
    assert (tmp_path / "worlds.jsonl").read_bytes() == kept


def test_a_planted_optimum_gains_what_it_says(benchmark: ModuleType) -> None:
    world = benchmark.simulated.planted(3, 0.1, 0.02).world
    best = Policy.constant(dict(zip("abcd", torch.tensor(world.best).exp().tolist(), strict=True)))
    assert world.value(best) - world.value(EVEN) == pytest.approx(0.1, abs=1e-6)
    flat = World(0, flat=True)
    assert flat.value(best) == flat.value(EVEN)


def test_copies_have_disjoint_labels_that_are_those_of_one_outcome(benchmark: ModuleType, tmp_path: Path) -> None:
    data = benchmark.advise_copies.copies(1, {"split_seed": 0}, tmp_path)
    assert len(data.names) == benchmark.advise_copies.COPIES
    for source in data.domains["all"].splits.values():
        masks = torch.stack(list(source.labelled.values()))
        assert bool((masks.sum(0) == 1).all())
        assert 0.2 < float(masks[0].float().mean()) < 0.3
    assert len({o.task.metric_name for o in data.objectives}) == 1


def test_the_page_counts_false_claims_and_finds(benchmark: ModuleType) -> None:
    said = {"answer": "even", "best_other": "pbt", "gain": 0.001, "low": -0.002, "high": 0.003, "trainings": 47.2}
    text = benchmark.report(
        "python x", {"flat": ["even", "undecided", "rule", "even"]}, {"a search, 1": ["search", "undecided"]}, [said]
    )
    assert "falsely in 1 of 4 (25.0%)" in text
    assert "- a search, 1: found in 1 of 2 (50.0%)." in text
    assert "+0.10 [-0.20, +0.30]" in text
    assert "falsely in 0 of 1 (0.0%); even weights in 1 of 1 (100.0%)." in text
