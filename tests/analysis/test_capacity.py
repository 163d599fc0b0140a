"""Gains, best weights and agreement of sizes on frames whose answers are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from scalarize.analysis import capacity
from scalarize.studies.royer2023 import capacity_tables

SIZES = {"small": 64, "large": 256}


def results(gain: dict[str, float], best: dict[str, float], sign: int = 1) -> pd.DataFrame:
    """Two tasks, two sizes, three seeds; single-task models score 0.5; the average peaks at ``best``."""
    rows: list[dict[str, Any]] = []
    for size, parameters in SIZES.items():
        for seed in range(3):
            shift = 0.01 * seed  # common to a seed: it must cancel in the gains
            label = {"pair": "a|b", "first": "a", "second": "b", "size": size, "depth": "1", "width": parameters}
            label |= {"seed": seed, "parameters": parameters, "sign": sign}
            for p in (0.25, 0.5, 0.75):
                value = 0.5 + gain[size] - abs(p - best[size]) + shift
                rows += [label | {"p": p, "task": t} | splits(sign * value) for t in ("a", "b")]
            rows.append(label | {"p": 1.0, "task": "a"} | splits(sign * (0.5 + shift)))
            rows.append(label | {"p": 0.0, "task": "b"} | splits(sign * (0.5 + shift)))
    runs = [f"{row['size']} p {row['p']} seed {row['seed']}" for row in rows]
    return pd.DataFrame(rows).assign(run=runs)


def splits(value: float) -> dict[str, float]:
    return {"test": value, "validation": value, "train": value}


@pytest.mark.parametrize("sign", [1, -1])
def test_gains_are_at_the_best_weight_and_grow_with_size(sign: int) -> None:
    table = capacity.points(results({"small": -0.1, "large": 0.1}, {"small": 0.5, "large": 0.75}, sign))
    assert len(table) == 2 * 3 * 3
    assert dict(capacity.best_weight(table)[["size", "p_star"]].to_numpy()) == {"small": 0.5, "large": 0.75}
    found = capacity.gains(table)
    means = found.groupby("size")["gain_average"].mean()
    assert means["small"] == pytest.approx(-0.1)
    assert means["large"] == pytest.approx(0.1)
    trend = capacity.trend(found)  # 0.2 over two doublings
    assert trend.mean == pytest.approx(0.1)
    assert trend.n == 3
    assert capacity.level(found, largest=True).mean == pytest.approx(0.1)
    assert capacity.level(found, largest=False).mean == pytest.approx(-0.1)
    assert list(capacity.heat(found)["size"]) == ["small", "large"]


def test_the_best_weight_is_chosen_on_validation_not_on_test() -> None:
    runs = results({"small": 0, "large": 0}, {"small": 0.5, "large": 0.5})
    joint = runs["p"].between(0.01, 0.99)
    runs.loc[joint, "validation"] = runs.loc[joint, "p"]  # validation prefers p = 0.75
    table = capacity.points(runs)
    assert set(capacity.best_weight(table)["p_star"]) == {0.75}
    assert capacity.gains(table)["gain_average"].mean() == pytest.approx(-0.25)


def test_sizes_agree_or_not() -> None:
    same = capacity.agreement(capacity.points(results({"small": 0, "large": 0.2}, {"small": 0.25, "large": 0.25})))
    assert same["correlation"].tolist() == pytest.approx([1, 1, 1])
    other = capacity.agreement(capacity.points(results({"small": 0, "large": 0}, {"small": 0.25, "large": 0.75})))
    assert other["correlation"].tolist() == pytest.approx([-1, -1, -1])
    flat = results({"small": 0, "large": 0}, {"small": 0.25, "large": 0.75})
    flat["test"] = 0.5
    assert np.isnan(capacity.agreement(capacity.points(flat))["correlation"]).all()


def test_a_weight_from_the_small_model_is_judged_on_the_large_one() -> None:
    table = capacity.points(results({"small": 0, "large": 0}, {"small": 0.25, "large": 0.75}))
    moved = capacity.transfer(table)
    assert set(moved["size"]) == {"large"}
    assert set(moved["p_small"]) == {0.25}
    assert moved["gain_own"].to_numpy() == pytest.approx(0.25)
    assert moved["gain_transferred"].to_numpy() == pytest.approx(-0.25)
    assert capacity.spread(table).mean == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("best", "said"),
    [({"small": 0.5, "large": 0.5}, ""), ({"small": 0.5, "large": 0.75}, "0.75"), ({"small": 0.25, "large": 0.9}, "2")],
)
def test_a_best_weight_at_the_edge_of_the_grid_is_said(best: dict[str, float], said: str) -> None:
    edge = capacity.at_the_edge(capacity.points(results({"small": 0, "large": 0}, best)))
    assert bool(edge) == bool(said)
    assert said in edge


def test_nothing_is_supported_that_rests_on_the_edge_of_the_grid() -> None:
    def verdicts(peak: float) -> dict[str, tuple[str, str]]:
        runs = results({"small": 0.1, "large": 0.3}, {"small": peak, "large": peak})
        table = capacity_tables._tried(points := capacity.points(runs), capacity_tables._capacity_claims(points))
        return {c: (v, why) for c, v, why in table.frame[["claim", "verdict", "why"]].drop_duplicates().to_numpy()}

    assert verdicts(0.5)["C1"] == ("supported", "")
    verdict, why = verdicts(0.75)["C2"]
    assert verdict == "undecided"
    assert "at the edge of the grid (0.75) for 2 of 2" in why
