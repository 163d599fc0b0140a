"""Records of a comparison's values: the learning rate of each row, and the runs that diverged."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from scalarize.analysis import choice, comparison
from scalarize.utils.errors import RequestError


def verdicts(kept: Sequence[dict[str, Any]], focus: str | None, lower: bool, score: str | None) -> list[str]:
    """Return the verdicts over rows that have a value; further arguments as ``comparison.sentences`` takes them."""
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


def choose_rates(found: Sequence[dict[str, Any]], lower_is_better: bool = False) -> list[dict[str, Any]]:
    """Choose each row's learning rate by its mean ``validation``.

    Args:
        found: records of values, as :meth:`RowValue.record` makes them, at one or several rates.
        lower_is_better: direction of ``validation``.

    Returns:
        The records at each row's best rate; their ``trainings`` count those at all rates.

    Raises:
        RequestError: there are several rates, and no validation split to choose on.
        RunError: a value's ``validation`` is no number.
    """
    kept = []
    for row in dict.fromkeys(r["method"] for r in found):
        own = [r for r in found if r["method"] == row]
        rates = list(dict.fromkeys(r["rate"] for r in own))
        if len(rates) > 1 and any(r["validation"] is None and r["average"] is not None for r in own):
            raise RequestError("`learning_rates` are chosen on a validation split, which this workload does not have")
        best = rates[0] if len(rates) == 1 else _best(own, rates, lower_is_better)
        kept += [r | {"trainings": r["trainings"] * len(rates)} for r in own if r["rate"] == best]
    return kept


def _best(own: Sequence[dict[str, Any]], rates: Sequence[Any], lower: bool) -> Any:
    lost = math.inf if lower else -math.inf  # of a training that diverged at once

    def score(rate: Any) -> float:
        values = [lost if r["validation"] is None else r["validation"] for r in own if r["rate"] == rate]
        return float(sum(values) / len(values))

    def run(rate: Any) -> str:
        broken = (r for r in own if r["rate"] == rate and r["validation"] is not None and math.isnan(r["validation"]))
        return ", ".join(next(broken, own[0])["directories"])

    return choice.best(rates, score, run, lower)
