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

ROUNDING = 1e-12  # scores that differ less, in proportion, are equal
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
    from none; 0 if it is decided. validation: the same gain on validation, if ``gain`` is of the test split. contrary:
    undecided since these two splits contradict each other, which more seeds would not settle.
    """

    kind: Decision
    method: str
    gain: Interval
    over: str
    method_of_gain: str
    margin: float
    more: int = 0
    difference: float = 0.0
    validation: Interval | None = None
    contrary: bool = False


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
    more, difference, contrary = 1, found.margin, False
    left = [f for f in course.finalists if f != found.over and not seen.below(f, found.over)]
    if left and found.method_of_gain not in left:  # its gain is known to be too small
        best = seen.best(left)
        found = seen.pair(replace(found, gain=seen.gain(best, found.over), method_of_gain=best))
    for name in left:
        contrary |= seen.contrary(name, found.over)
        for split in range(len(splits)):
            gaps = seen.gaps(name, found.over, split)
            wanted = max(found.margin, sum(gaps) / len(gaps)) if gaps else found.margin
            needed = sequential.seeds_to_tell(gaps, wanted, course.alpha) - len(gaps) if wanted > 0 else 1
            more, difference = max((more, difference), (needed, wanted))
    if (contrary and more == 1) or seen.opposite(found.method_of_gain, found.over):
        return replace(found, contrary=True)
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
    found = _judged(field, course, splits, margin)
    return _Judge(course, splits, found.margin, course.alpha).pair(found) if len(course.seeds) > 1 else found


def _judged(field: Field, course: Course, splits: Sequence[Scores], margin: float | None) -> Advice:
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
        known = [(a[s], b[s]) for s in self.course.seeds if s in a and s in b]
        return [0.0 if math.isclose(x, y, rel_tol=ROUNDING) else x - y for x, y in known]

    def intervals(self, first: str, second: str) -> list[Interval]:
        return [sequential.interval(self.gaps(first, second, k), self.alpha) for k in range(len(self.splits))]

    def above(self, first: str, second: str) -> bool:
        return all(i.low > 0 and i.mean >= self.margin for i in self.intervals(first, second))

    def below(self, first: str, second: str) -> bool:
        seen, *rest = self.intervals(first, second)
        return self._small(seen.high) and all(self._small(i.mean) for i in rest)

    def contrary(self, first: str, second: str) -> bool:
        """Return True if validation has decided, and the test split says the contrary."""
        seen, *rest = self.intervals(first, second)
        if seen.low > 0 and seen.mean >= self.margin:
            return any(i.mean < self.margin for i in rest)
        return self._small(seen.high) and not all(self._small(i.mean) for i in rest)

    def _small(self, gain: float) -> bool:
        return gain < self.margin or gain <= 0  # the margin of scores around 0 is 0

    def gain(self, first: str, second: str) -> Interval:
        return self.intervals(first, second)[-1]

    def opposite(self, first: str, second: str) -> bool:
        """Return True if one split shows a gain, and another one shows that there is none that matters."""
        found = self.intervals(first, second)
        return any(i.low > 0 and i.mean >= self.margin for i in found) and any(self._small(i.high) for i in found)

    def pair(self, advice: Advice) -> Advice:
        """Add the gain on validation, if the advice's own is of another split."""
        if len(self.splits) == 1 or advice.method_of_gain == advice.over:
            return advice
        return replace(advice, validation=self.intervals(advice.method_of_gain, advice.over)[0])

    def best(self, names: Sequence[str]) -> str:
        """Return the one with the highest mean on validation, the first of equals."""
        known = [set(self.splits[0][n]) for n in names]
        seeds = [s for s in self.course.seeds if all(s in own for own in known)]
        means = {n: math.fsum(self.splits[0][n][s] for s in seeds) for n in names}
        return max(names, key=lambda n: means[n])

    def said(self, kind: Decision, method: str, over: str) -> Advice:
        return Advice(kind, method, self.gain(method, over), over, method, self.margin)
