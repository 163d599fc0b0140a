"""Statistics over several random splits of one data set, whose training rows overlap."""

from __future__ import annotations

import math

from scalarize.analysis.statistics import (
    CONFIDENCE,
    Difference,
    Interval,
    Values,
    as_array,
    moments,
    untested,
    without_spread,
)


def resampled_interval(values: Values, ratio: float, confidence: float = CONFIDENCE) -> Interval:
    """Return the interval of a mean over random splits of one data set (Nadeau and Bengio 2003, section 3).

    Training sets of several splits overlap, so their results are no independent draws: the variance of the mean is
    (1/n + ratio) deviation^2 in place of deviation^2 / n.

    Args:
        values: one number a split (n,).
        ratio: test rows per training row.
        confidence: of the interval. Default 0.95.
    """
    from scipy import stats

    array, mean, deviation = moments(values)
    if math.isnan(deviation):
        return Interval(mean, math.nan, math.nan, deviation, array.size)
    half = float(stats.t.ppf((1 + confidence) / 2, array.size - 1)) * deviation * math.sqrt(1 / array.size + ratio)
    return Interval(mean, mean - half, mean + half, deviation, array.size)


def resampled_difference(a: Values, b: Values, ratio: float, confidence: float = CONFIDENCE) -> Difference:
    """Run the corrected resampled t-test (Nadeau and Bengio 2003): a[k] and b[k] share split k.

    Args:
        a: one number a split (n,).
        b: likewise, in the same order.
        ratio: test rows per training row.
        confidence: of the interval. Default 0.95.
    """
    from scipy import stats

    gaps = as_array(a) - as_array(b)
    gap, n = resampled_interval(gaps, ratio, confidence), (gaps.size, gaps.size)
    if math.isnan(gap.deviation) or without_spread(gaps, a, b):
        return Difference(gap.mean, gap.low, gap.high, untested(gaps), "paired", n)
    error = gap.deviation * math.sqrt(1 / gaps.size + ratio)
    return Difference(
        gap.mean, gap.low, gap.high, 2 * float(stats.t.sf(abs(gap.mean) / error, gaps.size - 1)), "paired", n
    )
