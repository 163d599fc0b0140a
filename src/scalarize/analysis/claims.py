"""Verdicts on claims: numbers that lie above 0 if a claim is true, their intervals, and one rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import pandas as pd

from scalarize.analysis.statistics import ALPHA, Difference, Interval
from scalarize.analysis.study_tables import StudyTable

IntervalAt = Callable[[float], Interval | Difference]  # confidence -> mean with its interval
Verdict = Literal["supported", "not supported", "undecided"]

# The first verdict needs all parts above 0, so it needs no correction; for the second, one part below 0 is enough.
RULE = (
    "Each part of a claim is a number that lies above 0 if the claim is true. Supported: the 95 % intervals of all its "
    "parts lie above 0. Not supported: the interval of at least one part lies below 0, each at 95 % for all parts "
    "together (Bonferroni). Undecided: neither."
)
COLUMNS = ("claim", "where", "part", "mean", "low", "high", "upper", "units", "verdict")


def table(claims: Mapping[tuple[str, str], Mapping[str, IntervalAt]]) -> StudyTable:
    """Return one row per part of each claim, and one sentence per claim.

    ``low`` and ``high`` are the 95 % interval; ``upper`` is its upper end at the confidence corrected for all parts.

    Args:
        claims: (claim, data it was tested on) to part to its number.
    """
    rows: list[dict[str, Any]] = []
    findings = []
    for (claim, where), parts in claims.items():
        own: list[dict[str, Any]] = []
        for name, measured in parts.items():
            found, corrected = measured(1 - ALPHA), measured(1 - ALPHA / len(parts))
            units = found.n if isinstance(found.n, int) else min(found.n)
            row = {"claim": claim, "where": where, "part": name, "mean": found.mean, "low": found.low}
            own.append(row | {"high": found.high, "upper": corrected.high, "units": units})
        decided = verdict(own)
        rows += [row | {"verdict": decided} for row in own]
        nothing = "" if own else " (nothing here measures it)"
        findings.append(f"{claim}{f', {where}' if where else ''}: {decided}{nothing}.")
    return StudyTable("claims", "Claims on trial", pd.DataFrame(rows, columns=list(COLUMNS)), RULE, tuple(findings))


def verdict(parts: Sequence[Mapping[str, Any]]) -> Verdict:
    """Apply ``RULE`` to ``low`` and ``upper`` of each part. NaN (too few units) decides nothing."""
    if parts and all(part["low"] > 0 for part in parts):
        return "supported"
    return "not supported" if any(part["upper"] < 0 for part in parts) else "undecided"


def together(verdicts: Sequence[str]) -> Verdict:
    """Combine the verdicts on several data sets: the one that all decided ones share; "supported" only if all are
    decided.

    >>> together(["supported", "undecided"])
    'undecided'
    """
    decided = set(verdicts) - {"undecided"}
    if decided == {"supported"} and "undecided" not in verdicts:
        return "supported"
    return "not supported" if decided == {"not supported"} else "undecided"
