"""Statistics of a comparison: intervals, tests across seeds, corrections, and detectable differences.

All distributions are scipy's. Values are one number per *unit*: a seed, or a search (the mean of its retrains). Tests
are two-sided. Units are taken as independent draws, so an interval is about new seeds on the same data split.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

Values = Sequence[float] | NDArray[np.float64]
CONFIDENCE = 0.95
ALPHA = 0.05
POWER = 0.8
RESAMPLES = 9999


@dataclass(frozen=True)
class Interval:
    """The mean of ``n`` units, its interval, and the deviation between units (n - 1 in the denominator).

    ``low``, ``high`` and ``deviation`` are NaN for one unit, which says nothing about others.
    """

    mean: float
    low: float
    high: float
    deviation: float
    n: int

    @property
    def half_width(self) -> float:
        """Half the length of the interval; NaN if it is unknown."""
        return (self.high - self.low) / 2

    def at(self, confidence: float) -> Interval:
        """Return the interval of the same values at another confidence."""
        from scipy import stats

        if self.n < 2 or math.isnan(self.deviation):
            return self
        half = float(stats.t.ppf((1 + confidence) / 2, self.n - 1)) * self.deviation / math.sqrt(self.n)
        return Interval(self.mean, self.mean - half, self.mean + half, self.deviation, self.n)

    def to_dict(self) -> dict[str, float | None]:
        """Return mean, low, high and deviation; unknown numbers are None, which JSON can hold."""
        numbers = {"mean": self.mean, "low": self.low, "high": self.high, "deviation": self.deviation}
        return {k: float(v) if math.isfinite(v) else None for k, v in numbers.items()}


@dataclass(frozen=True)
class Difference:
    """The mean of a - b with its interval and p-value; NaN for too few units. ``n`` holds the units of a and b."""

    mean: float
    low: float
    high: float
    p: float
    test: Literal["paired", "welch"]
    n: tuple[int, int]


def as_array(values: Values) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"need a list of at least one number, got shape {array.shape}")
    return array


def moments(values: Values) -> tuple[NDArray[np.float64], float, float]:
    """Return the values, their mean and deviation. Equal values have deviation 0 exactly, in spite of rounding."""
    array = as_array(values)
    if array.size < 2 or not np.isfinite(array).all():
        return array, float(array.mean()), math.nan
    if np.ptp(array) == 0:
        return array, float(array[0]), 0.0
    return array, float(array.mean()), float(array.std(ddof=1))


def t_interval(values: Values, confidence: float = CONFIDENCE) -> Interval:
    """Return Student's interval of the mean: mean +- t(n - 1) * deviation / sqrt(n)."""
    array, mean, deviation = moments(values)
    return Interval(mean, math.nan, math.nan, deviation, array.size).at(confidence)


def mean_of_all(values: pd.Series[float]) -> float:
    """Return the mean, NaN if a value is missing: the mean of the others would be another quantity. For groups of a
    frame.
    """
    return float(values.mean(skipna=False))


def bootstrap_interval(values: Values, confidence: float = CONFIDENCE, seed: int = 0) -> Interval:
    """Return the bias-corrected and accelerated bootstrap interval of the mean; equal ``seed``, equal interval.

    It is too short below about 10 units (coverage near 85 % for 5): the tables use :func:`t_interval`.
    """
    from scipy import stats

    array, mean, deviation = moments(values)
    if math.isnan(deviation) or deviation == 0:
        bound = math.nan if math.isnan(deviation) else mean
        return Interval(mean, bound, bound, deviation, array.size)
    found = stats.bootstrap(
        (array,), np.mean, confidence_level=confidence, n_resamples=RESAMPLES, rng=np.random.default_rng(seed)
    ).confidence_interval
    return Interval(mean, float(found.low), float(found.high), deviation, array.size)


def without_spread(gaps: NDArray[np.float64], a: Values, b: Values) -> bool:
    """Return True if values differ by rounding alone, from which no test can be made."""
    size = float(max(np.abs(as_array(a)).max(), np.abs(as_array(b)).max()))
    return bool(np.ptp(gaps) <= 1e-9 * size)


def untested(gaps: NDArray[np.float64]) -> float:
    """Return the p-value of differences without spread: 1 if all are 0. Else it is unknown (NaN): a difference that
    repeats exactly, such as one test sample more, says nothing about how it would vary.
    """
    return 1.0 if gaps.size > 1 and bool((gaps == 0).all()) else math.nan


def paired_difference(a: Values, b: Values, confidence: float = CONFIDENCE) -> Difference:
    """Run a paired t-test: a[k] and b[k] share seed k. Raises ValueError if the lengths differ."""
    from scipy import stats

    x, y = as_array(a), as_array(b)
    if x.size != y.size:
        raise ValueError(f"paired values must be as many on both sides, got {x.size} and {y.size}")
    gap = t_interval(x - y, confidence)
    n = (x.size, y.size)
    if math.isnan(gap.deviation):
        return Difference(gap.mean, math.nan, math.nan, math.nan, "paired", n)
    if without_spread(x - y, x, y):
        return Difference(gap.mean, gap.low, gap.high, untested(x - y), "paired", n)
    return Difference(gap.mean, gap.low, gap.high, float(stats.ttest_rel(x, y).pvalue), "paired", n)


def welch_difference(a: Values, b: Values, confidence: float = CONFIDENCE) -> Difference:
    """Run Welch's t-test of independent units with unequal variances."""
    from scipy import stats

    (x, mean_x, deviation_x), (y, mean_y, deviation_y) = moments(a), moments(b)
    mean, n = mean_x - mean_y, (x.size, y.size)
    if math.isnan(deviation_x) or math.isnan(deviation_y):
        return Difference(mean, math.nan, math.nan, math.nan, "welch", n)
    size = float(max(np.abs(x).max(), np.abs(y).max()))
    if max(np.ptp(x), np.ptp(y)) <= 1e-9 * size:
        return Difference(mean, mean, mean, 1.0 if mean == 0 else math.nan, "welch", n)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # one side may be without spread, and the other not
        found = stats.ttest_ind(x, y, equal_var=False)
    bounds = found.confidence_interval(confidence)
    return Difference(mean, float(bounds.low), float(bounds.high), float(found.pvalue), "welch", n)


def holm(p_values: Values) -> NDArray[np.float64]:
    """Correct p-values for all of them together (Holm 1979, step-down); NaN stays NaN and is not counted."""
    p = np.asarray(p_values, dtype=np.float64)
    corrected = np.full(p.shape, np.nan)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    factors = np.arange(known.size, 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(factors * p[order]), 1.0)
    return corrected


def minimum_detectable_difference(
    deviation: float, n: int, paired: bool = False, power: float = POWER, alpha: float = ALPHA
) -> float:
    """Return the true difference that a two-sided t-test finds with a given probability.

    Args:
        deviation: standard deviation between units; of the differences, if ``paired``.
        n: units per side.
        paired: True for the paired test, False for two independent samples.
        power: the probability.
        alpha: significance level of the test.

    Returns:
        The difference; NaN for fewer than 2 units, 0 for a deviation of 0.
    """
    from scipy import optimize, stats

    if n < 2 or not math.isfinite(deviation):
        return math.nan
    if deviation == 0:
        return 0.0
    freedom = n - 1 if paired else 2 * (n - 1)
    error = deviation * math.sqrt((1 if paired else 2) / n)
    critical = float(stats.t.ppf(1 - alpha / 2, freedom))

    def missing(shift: float) -> float:
        # The lower tail as the upper tail of the mirrored distribution: scipy's nct.cdf is NaN far out.
        return float(stats.nct.sf(critical, freedom, shift) + stats.nct.sf(critical, freedom, -shift)) - power

    high = critical + 10.0
    while missing(high) < 0:
        high *= 2
    return float(optimize.brentq(missing, 1e-9, high)) * error


def in_words(interval: Interval, digits: int = 4, unit: str = "seeds") -> str:
    """Write an interval as ``0.0123 (95 % interval 0.0100 to 0.0146, 5 seeds)``."""
    if interval.n < 2 or math.isnan(interval.low):
        return f"{interval.mean:.{digits}f} ({interval.n} {unit if interval.n != 1 else unit[:-1]}, no interval)"
    low, high = (f"{x:.{digits}f}" for x in (interval.low, interval.high))
    return f"{interval.mean:.{digits}f} (95 % interval {low} to {high}, {interval.n} {unit})"
