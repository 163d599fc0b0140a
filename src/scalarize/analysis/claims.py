"""Verdicts on claims: numbers that lie above 0 if a claim is true, their intervals, and one rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from scalarize.analysis.statistics import ALPHA, Difference, Interval
from scalarize.analysis.study_tables import StudyTable

IntervalAt = Callable[[float], Interval | Difference]  # confidence -> mean with its interval
Verdict = Literal["supported", "not supported", "undecided"]
Key = tuple[str, str]  # a claim, and the part of the data it was tested on

# The first verdict needs all parts above 0, so it needs no correction; for the second, one part below 0 is enough.
RULE = (
    "Each part of a claim is a number that lies above 0 if the claim is true. Supported: the 95 % intervals of all its "
    "parts lie above 0. Not supported: the contrary was found, the interval of at least one part lies below 0, each at "
    "95 % for all parts together (Bonferroni). Undecided: neither. A claim that rests on a best value at the edge of "
    "what was tried, or on too little of what it speaks of, is not supported either: it is undecided, and why is said."
)
COLUMNS = ("claim", "where", "part", "mean", "low", "high", "upper", "units", "found", "verdict", "why")
HOLDS, CONTRARY, OPEN = "holds", "contrary", "open"


@dataclass(frozen=True)
class Flaw:
    """A reason for which a verdict cannot be drawn from the parts of a claim.

    why: in words. both: True if it forbids every verdict, False if only *supported* (the default), as for a best value
    at the edge of a grid: beyond it may lie a better one.
    """

    why: str
    both: bool = False


def table(
    claims: Mapping[Key, Mapping[str, IntervalAt]], flaws: Mapping[Key, Sequence[Flaw]] | None = None
) -> StudyTable:
    """Return one row per part of each claim, and one sentence per claim.

    ``low`` and ``high`` are the 95 % interval; ``upper`` is its upper end at the confidence corrected for all parts.

    Args:
        claims: (claim, data it was tested on) to part to its number.
        flaws: what forbids a verdict, by the same keys; default none.
    """
    rows: list[dict[str, Any]] = []
    findings = []
    for (claim, where), parts in claims.items():
        own: list[dict[str, Any]] = []
        for name, measured in parts.items():
            found, corrected = measured(1 - ALPHA), measured(1 - ALPHA / len(parts))
            units = found.n if isinstance(found.n, int) else min(found.n)
            row = {"claim": claim, "where": where, "part": name, "mean": found.mean, "low": found.low}
            row |= {"high": found.high, "upper": corrected.high, "units": units}
            own.append(row | {"found": side(row)})
        known = (flaws or {}).get((claim, where), ())
        decided, why = judged(own, known), "; ".join(flaw.why for flaw in known)
        rows += [row | {"verdict": decided, "why": why} for row in own]
        said = [] if own else ["nothing here measures it"]
        said += [why] if why else []
        nothing = f" ({'; '.join(said)})" if said else ""
        findings.append(f"{claim}{f', {where}' if where else ''}: {decided}{nothing}.")
    return StudyTable("claims", "Claims on trial", pd.DataFrame(rows, columns=list(COLUMNS)), RULE, tuple(findings))


def side(part: Mapping[str, Any]) -> str:
    """Return on which side of 0 a part lies: *holds*, *contrary* (corrected for all parts) or *open*."""
    return HOLDS if part["low"] > 0 else CONTRARY if part["upper"] < 0 else OPEN


def verdict(parts: Sequence[Mapping[str, Any]]) -> Verdict:
    """Apply ``RULE`` to ``low`` and ``upper`` of each part. NaN (too few units) decides nothing."""
    sides = {side(part) for part in parts}
    if sides == {HOLDS}:
        return "supported"
    return "not supported" if CONTRARY in sides else "undecided"


def judged(parts: Sequence[Mapping[str, Any]], flaws: Sequence[Flaw]) -> Verdict:
    """Return the verdict on the parts, or *undecided* where a flaw forbids it.

    >>> judged([{"low": 0.1, "upper": 1.0}], [Flaw("the best weight lies at the edge")])
    'undecided'
    """
    decided = verdict(parts)
    forbidden = any(flaw.both or decided == "supported" for flaw in flaws)
    return "undecided" if forbidden else decided


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
