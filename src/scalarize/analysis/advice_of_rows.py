"""An advice from the rows of a finished comparison, without a race: every rule has been trained on every seed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from scalarize.analysis.advice import Advice, Decision, decide, judge
from scalarize.analysis.race import Course, Scores
from scalarize.analysis.race_budget import Field


def of_rows(
    found: Sequence[Mapping[str, Any]], field: Field, search: str, lower_is_better: bool = False
) -> tuple[Advice, Course]:
    """Advise from the records of a comparison's values.

    Each rule may be claimed, and so may the search: the levels of all these claims together are 5 %. The unit of a
    search is the search, not its retrains: number k is paired with seed k of the others.

    Args:
        found: records of values, as ``compare`` makes them.
        field: its even weights, rules and, if there are, models of one task each.
        search: the row of the searches' policies.
        lower_is_better: direction of the average metric.

    Returns:
        The answer, and the course that it was read from.
    """
    rules = [*field.rules, *([field.single] if field.single else [])]
    names = (field.even, *rules, search)
    splits = [_scores(found, names, split, -1.0 if lower_is_better else 1.0) for split in ("validation", "average")]
    seeds = tuple(splits[0][field.even])
    course = Course(splits[0], names, None, search, seeds, claims=len(rules) + 1, planned=len(seeds))
    for name in [n for n in names[1:] if not splits[0][n] or not all(map(math.isfinite, splits[0][n].values()))]:
        course.dropped[name] = "a training diverged"
        course.finalists = tuple(n for n in course.finalists if n != name)
    whole = decide(field, course, splits)
    if whole.kind is Decision.SEARCH:
        return whole, course
    claimed: dict[str, Advice] = {}
    for rule in [r for r in rules if r in course.finalists]:
        alone = Course(splits[0], (field.even, rule), rule, None, seeds, claims=course.claims)
        advice = judge(field, alone, splits, whole.margin)
        if advice.kind is Decision.RULE and not _tied(field, course, splits, claimed, rule, whole.margin):
            claimed[rule] = advice
    return (list(claimed.values())[-1] if claimed else whole), course


def _tied(
    field: Field, course: Course, splits: Sequence[Scores], claimed: Mapping[str, Advice], rule: str, margin: float
) -> bool:
    """Return True if a cheaper rule is claimed that this one does not gain on."""
    if not claimed:
        return False
    before = list(claimed)[-1]
    seeds = tuple(s for s in course.seeds if s in splits[0][before] and s in splits[0][rule])
    pair = Course(splits[0], (before, rule), rule, None, seeds, claims=course.claims)
    return judge(Field(before), pair, splits, margin).kind is not Decision.RULE


def _scores(found: Sequence[Mapping[str, Any]], names: Sequence[str], split: str, sign: float) -> Scores:
    """Return the scores by contender and unit: a seed, or a search of which the mean over retrains is taken."""
    values: dict[str, dict[int, list[float]]] = {name: {} for name in names}
    for record in found:
        if record["method"] in values:
            unit = record["seed"] if record.get("group") is None else record["group"]
            value = math.nan if record[split] is None else sign * float(record[split])
            values[record["method"]].setdefault(int(unit), []).append(value)
    return {name: {unit: sum(v) / len(v) for unit, v in sorted(own.items())} for name, own in values.items()}
