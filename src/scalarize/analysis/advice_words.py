"""An advice in words and as plain data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scalarize.analysis.advice import SHARE, Advice, Decision
from scalarize.analysis.race import Course
from scalarize.analysis.race_budget import Field, growth
from scalarize.analysis.statistics import Interval


@dataclass(frozen=True)
class Units:
    """The units of an advice's numbers: factor and word. stated: the user gave the margin. tested: on a test split."""

    factor: float = 1.0
    word: str = ""
    stated: bool = False
    tested: bool = True

    def number(self, value: float, signed: bool = False) -> str:
        """Write a number, such as ``0.35 points``."""
        return self._digits(value, signed) + (f" {self.word}" if self.word else "")

    def interval(self, found: Interval) -> str:
        """Write a gain with its interval, such as ``+0.35 [+0.10, +0.60] points``."""
        if not math.isfinite(found.low):
            return f"{self.number(found.mean, True)} ({found.n} {'seed' if found.n == 1 else 'seeds'}, no interval)"
        low, high = (self._digits(x, True) for x in (found.low, found.high))
        return f"{self._digits(found.mean, True)} [{low}, {high}]" + (f" {self.word}" if self.word else "")

    def _digits(self, value: float, signed: bool) -> str:
        shown = value * self.factor
        places = 2 if self.factor != 1 or abs(shown) >= 10 else 4
        return f"{shown:+.{places}f}" if signed else f"{shown:.{places}f}"


def units_of(values: Sequence[float], stated: bool, tested: bool) -> Units:
    """Return points if all values lie between 0 and 1, as in the tables, else the score's own units."""
    points = all(0 <= v <= 1 for v in values if math.isfinite(v))
    return Units(100.0, "points", stated, tested) if points else Units(1.0, "", stated, tested)


def sentences(advice: Advice, field: Field, course: Course, units: Units, others: Sequence[str] = ()) -> list[str]:
    """Say the answer, what it rests on, and why contenders were dropped.

    Args:
        advice: the answer.
        field: the contenders.
        course: the race.
        units: of its numbers.
        others: names of the auxiliaries, if one task is the main one. Default: none.

    Returns:
        One line each; the first is the answer.
    """
    where = "the test split" if units.tested else "validation (there is no test split)"
    half = "as you asked" if units.stated else f"{SHARE:.1%} of the score of even weights"
    seeds = f"{advice.gain.n} seeds"
    lines = [_answer(advice, field, units, where, seeds, others, growth(field, advice.more, course.rule))]
    if math.isfinite(advice.margin):
        lines.append(f"A gain matters from {units.number(advice.margin)} on ({half}).")
    if advice.method == field.single and not field.main:
        lines.append("A model a task has no weights: policy.json holds even ones, for one model of all.")
    lines += [f"{name}: dropped, {reason}" for name, reason in course.dropped.items()]
    return lines


def _answer(
    advice: Advice, field: Field, units: Units, where: str, seeds: str, others: Sequence[str], more: int
) -> str:
    gain = f"{units.interval(advice.gain)} on {where}, {seeds}"
    if advice.validation is not None:
        gain += f" ({units.interval(advice.validation)} on validation)"
    best = f"the best other, {advice.method_of_gain}, gains {gain}"
    alone = advice.method_of_gain == advice.method
    if advice.kind is Decision.EVEN:
        if advice.over != field.even and alone:
            return f"Even weights will do: over {advice.over} they gain {gain}."
        return "Even weights will do" + (": nothing else was left." if alone else f": {best}.")
    if advice.kind is Decision.RULE and field.main and advice.method == field.single:
        dropped = f"Drop the auxiliaries {', '.join(others)}"
        if alone and advice.over != advice.method:
            return f"{dropped}: the main target alone gains {gain}, over {advice.over}."
        return f"{dropped}: they gain too little; {best}." if not alone else f"{dropped}: nothing else was left."
    if advice.kind is Decision.RULE:
        return f"This rule will do: {advice.method}; it gains {gain}, over {advice.over}."
    if advice.kind is Decision.SEARCH:
        return f"Search: {advice.method} gained {gain}, over the best of the others, {advice.over}."
    if advice.more <= 0 and not advice.contrary:
        return "Undecided: the time was over before even weights, the best rule and a search could be tested."
    so_far = f"so far {advice.method_of_gain} against {advice.over}: {gain}. Until then, even weights."
    if advice.contrary:
        return f"Undecided: validation and the test split disagree; more rows would tell, not more trainings; {so_far}"
    wanted = units.number(advice.difference)
    return f"Undecided: about {more} more trainings would tell a difference of {wanted}; {so_far}"


def as_data(advice: Advice, field: Field, course: Course, trainings: float) -> dict[str, Any]:
    """Return the content of ``advice.json``, without words, command and paths.

    ``gain``, ``low`` and ``high`` are in units of the score, higher is better; null if they are unknown.
    """
    interval: Mapping[str, float] = {"gain": advice.gain.mean, "low": advice.gain.low, "high": advice.gain.high}
    more = growth(field, advice.more, course.rule)
    return {
        "answer": advice.kind.value,
        "method": advice.method,
        **{key: value if math.isfinite(value) else None for key, value in interval.items()},
        "trainings": round(trainings, 1),
        "over": advice.over,
        "best_other": advice.method_of_gain,
        "margin": advice.margin if math.isfinite(advice.margin) else None,
        "confidence": 1 - 2 * course.alpha,
        "more_trainings": more,
        "difference": advice.difference if more else 0.0,
        "seeds": list(course.seeds),
        "seeds_planned": course.planned,
        "finalists": list(course.finalists),
        "dropped": course.dropped,
        "scores": {
            name: {str(s): v if math.isfinite(v) else None for s, v in own.items()}
            for name, own in course.scores.items()
        },
    }
