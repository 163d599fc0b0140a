"""Intervals and tests against scipy's and statsmodels' own, and against simulation."""

import math

import numpy as np
import pytest
from scipy import stats

from scalarize.analysis import statistics as st

A = [0.671, 0.674, 0.669, 0.675, 0.670]
B = [0.681, 0.686, 0.684, 0.682, 0.687]


def test_t_interval_is_scipys():
    found = st.t_interval(A)
    expected = stats.ttest_1samp(A, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.deviation == pytest.approx(np.std(A, ddof=1))
    assert found.half_width == pytest.approx((expected.high - expected.low) / 2)


@pytest.mark.parametrize("interval", [st.t_interval, st.bootstrap_interval])
def test_one_unit_has_no_interval_and_equal_units_have_none_to_speak_of(interval):
    alone = interval([0.5])
    assert alone.mean == 0.5
    assert math.isnan(alone.low)
    assert alone.to_dict() == {"mean": 0.5, "low": None, "high": None, "deviation": None}
    equal = interval([0.1, 0.1, 0.1])
    assert (equal.low, equal.high, equal.deviation) == (0.1, 0.1, 0.0)
    assert math.isnan(interval([0.1, math.nan]).mean)
    with pytest.raises(ValueError, match="at least one"):
        interval([])


def test_bootstrap_is_reproducible_and_near_the_t_interval_for_many_units():
    values = np.random.default_rng(1).normal(3.0, 1.0, 200)
    first, again, t = st.bootstrap_interval(values), st.bootstrap_interval(values), st.t_interval(values)
    assert first == again
    assert (first.low, first.high) == pytest.approx((t.low, t.high), abs=0.02)


def test_the_bootstrap_covers_too_seldom_for_five_units():
    draws = np.random.default_rng(2).normal(0.0, 1.0, (200, 5))
    held = [(found.low <= 0 <= found.high) for found in map(st.bootstrap_interval, draws)]
    assert 0.78 <= np.mean(held) <= 0.91  # of 95 % asked for; the t interval's own test asks for all of them


def test_paired_and_welch_are_scipys():
    paired, welch = st.paired_difference(A, B), st.welch_difference(A, B[:4])
    expected = stats.ttest_rel(A, B)
    bounds = expected.confidence_interval()
    assert (paired.p, paired.low, paired.high) == pytest.approx((expected.pvalue, bounds.low, bounds.high))
    expected = stats.ttest_ind(A, B[:4], equal_var=False)
    bounds = expected.confidence_interval()
    assert (welch.p, welch.low, welch.high) == pytest.approx((expected.pvalue, bounds.low, bounds.high))
    assert welch.n == (5, 4)
    with pytest.raises(ValueError, match="as many"):
        st.paired_difference(A, B[:3])


def test_differences_without_spread():
    assert st.paired_difference(A, A).p == 1.0
    shifted = st.paired_difference([1.0, 2.0, 3.0], [0.5, 1.5, 2.5])
    assert (shifted.mean, shifted.low, shifted.high) == (0.5, 0.5, 0.5)
    assert math.isnan(shifted.p)  # a difference that repeats exactly shows nothing of how it would vary
    assert st.welch_difference([1.0, 1.0], [1.0, 1.0]).p == 1.0
    assert math.isnan(st.welch_difference([1.0, 1.0], [2.0, 2.0]).p)
    by_rounding = st.paired_difference([0.1 + 0.2, 0.7], [0.2, 0.6])  # 0.1 twice, but for the last bit
    assert math.isnan(by_rounding.p)
    assert math.isnan(st.paired_difference([1.0], [2.0]).p)
    assert math.isnan(st.welch_difference([1.0], [2.0, 3.0]).p)


def test_holm_is_statsmodels():
    from statsmodels.stats.multitest import multipletests

    for seed in range(20):
        p = np.random.default_rng(seed).uniform(size=7) ** 3
        assert st.holm(p) == pytest.approx(multipletests(p, method="holm")[1])
    with_gap = st.holm([0.01, math.nan, 0.04])
    assert with_gap[[0, 2]] == pytest.approx([0.02, 0.04])
    assert math.isnan(with_gap[1])
    assert st.holm([]).size == 0


def test_minimum_detectable_difference_is_statsmodels():
    from statsmodels.stats.power import TTestIndPower, TTestPower

    for n in (3, 5, 11, 30):
        paired = TTestPower().solve_power(nobs=n, alpha=0.05, power=0.8, alternative="two-sided")
        assert st.minimum_detectable_difference(0.2, n, paired=True) == pytest.approx(0.2 * paired, rel=1e-4)
        two = TTestIndPower().solve_power(nobs1=n, alpha=0.05, power=0.8, alternative="two-sided")
        assert st.minimum_detectable_difference(0.2, n) == pytest.approx(0.2 * two, rel=1e-4)
    assert math.isnan(st.minimum_detectable_difference(0.2, 1))
    assert st.minimum_detectable_difference(0.0, 3) == 0.0


def test_simulated_coverage_and_false_alarms():
    """2,000 worlds with 5 seeds: 95 % of intervals hold the truth, 5 % of null tests reject, 80 % find the MDD."""
    random, worlds, n = np.random.default_rng(0), 2000, 5
    first, second = random.normal(0.7, 0.01, (worlds, n)), random.normal(0.7, 0.02, (worlds, n))
    intervals = [st.t_interval(row) for row in first]
    assert np.mean([i.low <= 0.7 <= i.high for i in intervals]) == pytest.approx(0.95, abs=0.015)
    p = np.array([st.welch_difference(a, b).p for a, b in zip(first, second, strict=True)])
    assert np.mean(p < 0.05) == pytest.approx(0.05, abs=0.015)
    shift = st.minimum_detectable_difference(0.01, n, paired=True)
    found = [st.paired_difference(row, np.full(n, 0.7) - shift).p < 0.05 for row in first]
    assert np.mean(found) == pytest.approx(0.8, abs=0.03)


def test_holm_keeps_the_family_wise_error():
    """Six comparisons of equal methods: some method seems to win in at most 5 % of worlds, without it in far more."""
    random = np.random.default_rng(2)
    raw, corrected, worlds = 0, 0, 400
    for _ in range(worlds):
        values = random.normal(0.0, 1.0, (7, 6))
        p = [st.paired_difference(values[0], row).p for row in values[1:]]
        raw += min(p) < 0.05
        corrected += st.holm(p).min() < 0.05
    assert corrected / worlds < 0.075
    assert raw / worlds > 0.12
