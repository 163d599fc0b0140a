"""A front that is known: nothing dominates it, and no weights of a sum have their best point inside it."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tiny_workloads as tiny
from scalarize import workloads
from scalarize.analysis import pareto
from scalarize.workloads.concave_front import CENTRES, hill

WORKLOAD = workloads.get("concave-front")
DATA = WORKLOAD.load(WORKLOAD.recipe.data, Path())


def losses(points: torch.Tensor) -> np.ndarray:
    return torch.stack([hill(points, torch.full_like(points, at)) for at in CENTRES.values()], 1).numpy()


def test_nothing_dominates_the_front_and_it_dominates_the_rest() -> None:
    grid = torch.tensor(list(itertools.product(np.linspace(-1.2, 1.2, 25), repeat=2)), dtype=torch.float64)
    front, rest = np.array(DATA.info["front"]), losses(grid)
    assert pareto.nondominated(front, False).all()
    volume = pareto.hypervolume(front, (1.0, 1.0), False)
    assert pareto.hypervolume(rest, (1.0, 1.0), False) <= volume
    assert pareto.hypervolume(np.concatenate([front, rest]), (1.0, 1.0), False) == pytest.approx(volume, rel=1e-3)


def test_the_best_of_every_weighted_sum_lies_near_an_end() -> None:
    front = np.array(DATA.info["front"])
    places = [int((front @ np.array([p, 1 - p])).argmin()) for p in np.linspace(0.05, 0.95, 19)]
    assert all(min(place, len(front) - 1 - place) <= 0.15 * len(front) for place in places)


@pytest.mark.slow
def test_the_smooth_maximum_finds_what_sums_do_not(command: Any, tmp_path: Path) -> None:
    study = tiny.reproduce(command, "royer2023/limitation", "concave-front", tmp_path, epochs=40)
    share = study.table("shares").set_index("row")["share"]
    assert set(share.index) == {"scalarization", "stch", "mopbt"}
    assert share["scalarization"] < 0.3 < 0.5 < share["stch"] <= 1
    claimed = study.table("claims")["claim"]
    assert set(claimed) == {"convex parts only, stch", "convex parts only, mopbt"}
