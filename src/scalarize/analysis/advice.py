"""The answer of a race: even weights, a rule, a search, or undecided, and the numbers it rests on.

A claim ("this rule", "search") is accepted if, on validation and on the test split alike, the interval of its gain lies
above 0 and its mean reaches the margin, over all that it has to beat (Berger 1982, *Multiparameter hypothesis testing
and acceptance sampling*: an intersection of tests needs no correction). The levels of all claims together are 5 %, on
each split alone (:mod:`scalarize.analysis.sequential`). "Even weights will do" needs the upper ends of all gains below
the margin (an equivalence test: Schuirmann 1987), and a test split that agrees.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

from scalarize.analysis import sequential
from scalarize.analysis.statistics import Interval

if TYPE_CHECKING:
    from scalarize.analysis.race import Course, Scores
    from scalarize.analysis.race_budget import Field

SHARE = 0.005  # of the score of even weights: the gain that matters unless the user says another


class Decision(Enum):
    """The four answers."""

    EVEN = "even"
    RULE = "rule"
    SEARCH = "search"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Advice:
    """An answer.

    method: the contender that is advised; for ``undecided`` even weights. gain: its gain over ``over``, in units of the
    score, higher is better; of even weights and ``undecided``, what the best other contender, ``method_of_gain``, gains
    over them. margin: the gain that matters. more: seeds a contender with which a gain of ``difference`` would be told
    from none; 0 if it is decided.
    """

    kind: Decision
    method: str
    gain: Interval
    over: str
    method_of_gain: str
    margin: float
    more: int = 0
    difference: float = 0.0


def margin_of(scores: Sequence[float]) -> float:
    """Return the gain that matters if nobody says another: half a percent of the score of even weights.

    >>> round(margin_of([0.68, 0.72]), 6)
    0.0035
    """
    return SHARE * abs(sum(scores) / len(scores))


def decide(field: Field, course: Course, splits: Sequence[Scores], margin: float | None = None) -> Advice:
    """Judge a race that is over, as :func:`judge` does, and say what more would tell if it is undecided."""
    found = judge(field, course, splits, margin)
    if found.kind is not Decision.UNDECIDED or len(course.seeds) < 2:
        return found
    seen = _Judge(course, splits, found.margin, course.alpha)
    more, difference = 1, found.margin
    for name in (f for f in course.finalists if f != found.over and not seen.below(f, found.over)):
        gaps = seen.gaps(name, found.over, 0)
        wanted = max(found.margin, sum(gaps) / len(gaps)) if gaps else found.margin
        needed = sequential.seeds_to_tell(gaps, wanted, course.alpha) - len(gaps) if wanted > 0 else 1
        more, difference = max((more, difference), (needed, wanted))
    return replace(found, more=more, difference=difference)


def judge(field: Field, course: Course, splits: Sequence[Scores], margin: float | None = None) -> Advice:
    """Judge a race so far.

    Args:
        field: the contenders.
        course: the race so far.
        splits: scores on validation, and on the test split if it may be read.
        margin: the gain that matters. Default: see :func:`margin_of`.

    Returns:
        The answer; its numbers are of the last of ``splits``.
    """
    if len(course.seeds) < 2:
        nothing = Interval(math.nan, math.nan, math.nan, math.nan, len(course.seeds))
        return Advice(Decision.UNDECIDED, field.even, nothing, field.base, field.base, margin or math.nan)
    even = [splits[0][field.even][s] for s in course.seeds]
    seen = _Judge(course, splits, margin_of(even) if margin is None else margin, course.alpha)
    free = [f for f in course.finalists if f != course.policy]
    if course.policy in course.finalists and all(seen.above(course.policy, f) for f in free):
        return seen.said(Decision.SEARCH, course.policy, seen.best(free))
    rule = course.rule if course.rule in course.finalists else None
    if rule is not None and all(seen.above(rule, f) for f in free if f != rule):
        return seen.said(Decision.RULE, rule, seen.best([f for f in free if f != rule]))
    base = field.base
    if base != field.even:
        for kind, first, second in ((Decision.RULE, base, field.even), (Decision.EVEN, field.even, base)):
            if second in free and seen.above(first, second):
                return seen.said(kind, first, second)
    others = [f for f in course.finalists if f != base]
    kind = Decision.EVEN if base == field.even else Decision.RULE
    if not others:
        return Advice(kind, base, Interval(0.0, 0.0, 0.0, 0.0, len(course.seeds)), base, base, seen.margin)
    best = seen.best(others)
    if all(seen.below(f, base) for f in others):
        return Advice(kind, base, seen.gain(best, base), base, best, seen.margin)
    return Advice(Decision.UNDECIDED, field.even, seen.gain(best, base), base, best, seen.margin)


@dataclass(frozen=True)
class _Judge:
    course: Course
    splits: Sequence[Scores]
    margin: float
    alpha: float

    def gaps(self, first: str, second: str, split: int) -> list[float]:
        a, b = self.splits[split][first], self.splits[split][second]
        return [a[s] - b[s] for s in self.course.seeds if s in a and s in b]

    def intervals(self, first: str, second: str) -> list[Interval]:
        return [sequential.interval(self.gaps(first, second, k), self.alpha) for k in range(len(self.splits))]

    def above(self, first: str, second: str) -> bool:
        return all(i.low > 0 and i.mean >= self.margin for i in self.intervals(first, second))

    def below(self, first: str, second: str) -> bool:
        seen, *rest = self.intervals(first, second)
        return seen.high < self.margin and all(i.mean < self.margin for i in rest)

    def gain(self, first: str, second: str) -> Interval:
        return self.intervals(first, second)[-1]

    def best(self, names: Sequence[str]) -> str:
        """Return the one with the highest mean on validation, the first of equals."""
        known = [set(self.splits[0][n]) for n in names]
        seeds = [s for s in self.course.seeds if all(s in own for own in known)]
        means = {n: math.fsum(self.splits[0][n][s] for s in seeds) for n in names}
        return max(names, key=lambda n: means[n])

    def said(self, kind: Decision, method: str, over: str) -> Advice:
        return Advice(kind, method, self.gain(method, over), over, method, self.margin)
