"""The page on fronts, of units that nobody trained."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from scripts import load

fronts = load("results/fronts.py")


def write(out: Path, shift: float, seeds: int = 4) -> None:
    """Points of the pair: those of a front are better than the separate ones by ``shift``."""
    rng = np.random.default_rng(0)
    for seed in range(seeds):
        place = out / "pair" / f"seed-{seed}"
        place.mkdir(parents=True)
        for row in (fronts.SEPARATE, *fronts.FRONTS):
            better = 0.0 if row == fronts.SEPARATE else shift
            points = [[0.6 + 0.01 * k + better, 0.7 - 0.01 * k + better] for k in range(10)]
            points = (np.array(points) + 0.001 * rng.normal(size=(10, 2))).tolist()
            found: dict[str, Any] = {"points": points, "seconds": 4.0, "steps": 60}
            own = found if row == fronts.SEPARATE else found | {"early": found}
            (place / f"{row}.json").write_text(json.dumps(own))


@pytest.mark.parametrize(("shift", "verdict"), [(0.05, "supported"), (-0.05, "not supported"), (0.0, "undecided")])
def test_verdicts_follow_the_volumes(shift: float, verdict: str, tmp_path: Path) -> None:
    write(tmp_path, shift)
    page = fronts.page(tmp_path)
    found = [line for line in page.splitlines() if line.startswith("- One model")]
    assert len(found) == 4
    assert all(line.endswith(f"pair: {verdict}.") for line in found), found
    assert "## seven\n\nNot run." in page


def test_few_seeds_decide_nothing(tmp_path: Path) -> None:
    write(tmp_path, 0.05, seeds=2)
    page = fronts.page(tmp_path)
    assert "## pair: an illustration" in page
    assert "- One model" not in page


def test_a_volume_takes_no_number_that_is_none() -> None:
    assert fronts.volume([[0.5, 0.5], [float("nan"), 0.9], [0.9, float("inf")]]) == pytest.approx(0.25)
    assert fronts.volume([[float("nan"), 0.5]]) == 0.0
    assert fronts.volume([[0.5, 0.2], [0.2, 0.5]]) == pytest.approx(0.16)


def test_a_cross_entropy_becomes_a_likelihood_and_other_metrics_stay() -> None:
    class Learner:
        class data:
            objectives = (
                SimpleNamespace(name=name, task=SimpleNamespace(higher_is_better=up))
                for name, up in (("a", True), ("b", False))
            )

        def measure(self, split: str) -> dict[str, Any]:
            assert split == "test"
            return {"a": {"metric": 0.7}, "b": {"metric": np.log(4.0)}}

    assert fronts.measured(Learner()) == pytest.approx([0.7, 0.25])
