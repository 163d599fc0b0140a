"""Sentences about a comparison's rows: who wins, and what diverged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scalarize.analysis import comparison


def verdicts(kept: Sequence[dict[str, Any]], focus: str | None, lower: bool, score: str | None) -> list[str]:
    """Return the verdicts over rows that have a value."""
    lost = {r["method"] for r in kept if r["average"] is None}
    known = [r for r in kept if r["method"] not in lost]
    return comparison.sentences(known, None if focus in lost else focus, lower, score) if known else []


def diverged(found: Sequence[dict[str, Any]]) -> list[str]:
    """Write one sentence per row with runs that diverged, from records of its values."""
    lines = []
    for row in dict.fromkeys(r["method"] for r in found):
        own = [r for r in found if r["method"] == row]
        lost = [r for r in own if r["diverged"]]
        if lost:
            first, at_once = lost[0]["diverged"][0], sum(r["average"] is None for r in lost)
            counted = f"{at_once} of them in the first epoch, so the row has no value" if at_once else ""
            lines.append(
                f"{row}: {len(lost)} of {len(own)} diverged (first: {first}); "
                f"{counted or 'counted as selected before that'}."
            )
    return lines
