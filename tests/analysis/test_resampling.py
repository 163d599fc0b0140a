"""Statistics over overlapping splits: the formula of Nadeau and Bengio (2003), and its limits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from scalarize.analysis import comparison
from scalarize.analysis.resampling import resampled_difference, resampled_interval
from scalarize.analysis.statistics import paired_difference, t_interval

A, B = [0.71, 0.74, 0.69, 0.73], [0.70, 0.70, 0.68, 0.71]


def test_without_overlap_it_is_students_test() -> None:
    plain, resampled = paired_difference(A, B), resampled_difference(A, B, 0.0)
    assert resampled.p == pytest.approx(plain.p)
    assert (resampled.low, resampled.high) == (pytest.approx(plain.low), pytest.approx(plain.high))
    assert resampled_interval(A, 0.0).low == pytest.approx(t_interval(A).low)


def test_the_variance_is_that_of_the_paper() -> None:
    gaps = np.subtract(A, B)
    ratio = 20 / 60  # test rows per training row
    t = gaps.mean() / math.sqrt((1 / 4 + ratio) * gaps.var(ddof=1))
    found = resampled_difference(A, B, ratio)
    assert found.p == pytest.approx(2 * scipy_stats.t.sf(abs(t), 3))
    assert found.p > paired_difference(A, B).p


def test_verdicts_are_over_splits_each_the_mean_of_its_seeds() -> None:
    runs = [
        {"method": m, "seed": s, "split": k, "test": {"y": v[k] + s / 100}, "average": v[k] + s / 100, "trainings": 1}
        | {"test_ratio": 1 / 3, "group": None}
        for m, v in (("a", A), ("b", B))
        for k in range(4)
        for s in (-1, 1)
    ]
    verdict = comparison.compare(runs)[0]
    assert verdict.difference.n == (4, 4)
    assert verdict.p == pytest.approx(resampled_difference(A, B, 1 / 3).p)
    assert "paired over the 4 splits that both have, corrected for their overlap" in verdict.sentence
    row = comparison.rows(runs)[0]
    assert row["splits"] == 4
    assert row["average"]["low"] == pytest.approx(resampled_interval(A, 1 / 3).low)


def test_differences_without_spread_have_no_p_value() -> None:
    assert math.isnan(resampled_difference([0.5, 0.75], [0.25, 0.5], 0.3).p)
    assert resampled_difference([0.5, 0.75], [0.5, 0.75], 0.3).p == 1.0
    runs = [
        {"method": m, "seed": s, "group": None, "test": {"y": v}, "average": v, "trainings": 1}
        for m, values in (("a", [0.5, 0.75]), ("b", [0.25, 0.5]))
        for s, v in enumerate(values)
    ]
    verdict = comparison.compare(runs)[0]
    assert verdict.outcome == "ties"
    assert "with too little spread to test it" in verdict.sentence
