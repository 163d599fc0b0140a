"""Verdicts of a comparison in plain sentences."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from scalarize.analysis.statistics import Difference

Unit = tuple[str, int]


def sentence(
    a: str,
    b: str,
    outcome: str,
    d: Difference,
    p: float,
    family: int,
    detectable: float,
    scale: float,
    values: Mapping[str, Mapping[Unit, float]],
    score: str | None,
) -> str:
    """Write the outcome of a pair as one sentence.

    Args:
        a: the first method, whose outcome it is.
        b: the second.
        outcome: ``wins``, ``ties`` or ``loses``.
        d: first - second.
        p: corrected p-value.
        family: number of pairs that are corrected together.
        detectable: the true difference that is found 4 times in 5.
        scale: what numbers are multiplied by to be shown.
        values: method -> value by unit.
        score: name of the score that is compared, None for the average.

    Returns:
        The sentence.
    """
    on = f" on {score}" if score else ""
    shared = [unit for unit in values[a] if unit in values[b]] if d.test == "paired" else []
    means = " against ".join(
        f"{scale * np.mean([v for unit, v in values[m].items() if not shared or unit in shared]):.2f}" for m in (a, b)
    )
    gap = f"{scale * d.mean:+.2f} ({means})"
    if math.isnan(p):
        lacking = "too few runs" if min(d.n) < 2 else "too little spread"
        return f"{a} ties with {b}{on}: not distinguishable, difference {gap}, with {lacking} to test it."
    overlap = ", corrected for their overlap" if all(kind == "split" for kind, _ in values[a]) else ""
    basis = (
        f"paired over the {d.n[0]} {_kind(values[a])} that both have{overlap}"
        if d.test == "paired"
        else (f"Welch, {d.n[0]} {_kind(values[a])} against {d.n[1]} {_kind(values[b])}")
    )
    interval = f"95 % interval {scale * d.low:+.2f} to {scale * d.high:+.2f}"
    tested = f"p {_p(d.p)}" + (f", corrected for {family} pairs p {_p(p)}" if family > 1 else "")
    if outcome == "ties":
        return (
            f"{a} ties with {b}{on}: not distinguishable, difference {gap}, {interval}, {tested} ({basis}; "
            f"a true difference below {scale * detectable:.2f} would often be missed)."
        )
    return f"{a} {outcome} against {b}{on}: difference {gap}, {interval}, {tested} ({basis})."


def _kind(side: Mapping[Unit, float]) -> str:
    kinds = {kind for kind, _ in side}
    return {"search": "searches", "split": "splits"}.get(next(iter(kinds)), "seeds") if len(kinds) == 1 else "seeds"


def _p(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"
