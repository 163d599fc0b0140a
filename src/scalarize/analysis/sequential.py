"""Paired tests at looks that are fixed in advance, exact for Student's t however few the seeds.

The error that all looks may make together is spent in parts (Lan and DeMets 1983, *Discrete sequential boundaries for
clinical trials*). Their boundaries need normal statistics in large samples; here the looks are joined by Bonferroni's
inequality instead, which costs little for two and holds for any sample. The intervals are those of the same levels:
repeated confidence intervals (Jennison and Turnbull 1989), right together at all looks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from scalarize.analysis import statistics
from scalarize.analysis.statistics import ALPHA, Interval

EARLY = 4  # seeds: an earlier look could show nothing
SPENT = (0.2, 0.8)  # share of the error at the look after half of the seeds, and at the last


def looks(seeds: int) -> tuple[int, ...]:
    """Return the numbers of seeds at which ``seeds`` seeds are looked at: half of them, if that is enough, and all.

    >>> looks(10), looks(6)
    ((5, 10), (6,))
    """
    half = math.ceil(seeds / 2)
    return (half, seeds) if half >= EARLY else (seeds,)


def level(look: int, count: int, claims: int) -> float:
    """Return the one-sided level of one test at one look.

    Args:
        look: number of the look, from 0.
        count: number of looks.
        claims: number of claims that may be made, each of which may be wrong; at least 1.

    Returns:
        Its share of 5 % for all claims at all looks together.

    >>> round(level(0, 2, 2) + level(1, 2, 2), 6)
    0.025
    """
    return ALPHA / claims * (SPENT[look] if count > 1 else 1.0)


def interval(gaps: Sequence[float], alpha: float) -> Interval:
    """Return the interval of the mean of paired differences, each end wrong with a probability of ``alpha``.

    Differences without spread are tested by their signs alone: n equal ones have a probability of 1/2^n by chance. Too
    few for ``alpha`` have no interval.

    Args:
        gaps: difference by seed.
        alpha: one-sided level.

    Returns:
        Student's interval at the confidence 1 - 2 * alpha.

    >>> interval([0.5] * 9, 0.02).low, interval([0.5] * 3, 0.02).low
    (0.5, nan)
    """
    found = statistics.t_interval(gaps, 1 - 2 * alpha)
    if not _repeats(gaps) or all(g == 0 for g in gaps):
        return found
    known = 0.5 ** len(gaps) <= alpha
    low, high = (found.mean, found.mean) if known else (math.nan, math.nan)
    return Interval(found.mean, low, high, found.deviation, found.n)


def _repeats(gaps: Sequence[float]) -> bool:
    """Return True if differences have no spread but that of rounding."""
    return len(gaps) > 1 and bool(np.ptp(np.asarray(gaps)) <= 1e-9 * max(abs(g) for g in gaps))


def seeds_to_tell(gaps: Sequence[float], difference: float, alpha: float, most: int = 100_000) -> int:
    """Return the number of seeds with which a test would find a true difference 4 times in 5.

    Args:
        gaps: differences by seed, seen so far; they tell the deviation.
        difference: the true difference, above 0.
        alpha: one-sided level of the test.
        most: returned if not even so many are enough. Default 100,000.

    Returns:
        The least number of seeds, at least 3; of differences without spread, as many as :func:`interval` asks for.

    >>> seeds_to_tell([0.9, 1.1, 1.0], 1.0, 0.02), seeds_to_tell([0.5] * 3, 0.5, 0.02)
    (3, 6)
    """
    if _repeats(gaps) and any(gaps):
        return max(3, math.ceil(-math.log2(alpha)))
    deviation = statistics.t_interval(gaps).deviation
    if not math.isfinite(deviation) or deviation == 0:
        return 3

    def enough(n: int) -> bool:
        return statistics.minimum_detectable_difference(deviation, n, paired=True, alpha=2 * alpha) <= difference

    low, high = 2, 3
    while high < most and not enough(high):
        low, high = high, min(2 * high, most)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
