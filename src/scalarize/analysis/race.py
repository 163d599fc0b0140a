"""The race behind an advice: what is trained next, from the scores so far. It trains nothing itself.

1. *Rules* that cost nothing to set race by successive rejects (Audibert, Bubeck and Munos 2010, *Best arm
   identification in multi-armed bandits*): in each phase all that are left are trained on the same seeds, and the one
   with the lowest mean is dropped, so that the trainings go to those that are close. Models of one task each run beside
   the first seeds, if the budget allows.
2. *Searches* find policies with a share of the budget; the one with the best score on its hold-out goes on.
3. Even weights, the best rule and the policy are trained on *fresh* seeds, paired. Nothing that was chosen before is
   tested on what it was chosen by, so dropping needs no correction, and claims are few: see
   :mod:`scalarize.analysis.sequential` for the looks and :mod:`scalarize.analysis.advice` for the answer.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scalarize.analysis import sequential
from scalarize.analysis.advice import Decision, judge
from scalarize.analysis.race_budget import FEWEST, Allocation, Field, allocate
from scalarize.utils.errors import RunError

Reply = Mapping[str, Any]
Scores = dict[str, dict[int, float]]  # contender -> seed -> score on validation, higher is better


@dataclass(frozen=True)
class Train:
    """A wish for trainings: seeds by contender, and the stage they are for."""

    wanted: Mapping[str, Sequence[int]]
    stage: str


@dataclass(frozen=True)
class Search:
    """A wish for searches: members by name; the answer is the score of each on its hold-out."""

    members: Mapping[str, int]
    stage: str = "searches"


def cost_of(field: Field, wish: Train | Search) -> float:
    """Return the trainings that a wish costs."""
    if isinstance(wish, Search):
        return field.share * sum(wish.members.values())
    return float(sum(len(seeds) * field.cost_of(name) for name, seeds in wish.wanted.items()))


@dataclass
class Course:
    """A race so far: scores, contenders that test, their seeds, and what was decided in words.

    look and looks: number of the last look and of all that were planned. claims: those that may be made. planned:
    seeds of the whole test. dropped: contender -> reason.
    """

    scores: Scores = field(default_factory=dict)
    finalists: tuple[str, ...] = ()
    rule: str | None = None
    policy: str | None = None
    seeds: tuple[int, ...] = ()
    look: int = 0
    looks: int = 1
    claims: int = 1
    planned: int = 0
    dropped: dict[str, str] = field(default_factory=dict)

    @property
    def alpha(self) -> float:
        """The one-sided level of each test at the last look."""
        return sequential.level(self.look, self.looks, self.claims)


def run(
    field: Field, budget: float, course: Course, margin: float | None = None
) -> Generator[Train | Search, Reply, None]:
    """Race: a generator that yields what it wants, is sent what came of it, and fills in its course.

    A :class:`Train` is answered by scores (contender -> seed -> score, NaN if it diverged), a :class:`Search` by the
    score of each search. Its decisions depend on those alone, so a race that is begun again with finished trainings
    goes the same way.

    Args:
        field: the contenders.
        budget: trainings, as :func:`allocate` takes them.
        course: an empty one.
        margin: the gain that would matter, in units of the score. Default: half a percent of even weights'.

    Raises:
        RequestError: the budget is too small.
        RunError: a training of even weights, or of what is compared with, diverged.
    """
    plan = allocate(field, budget)
    first = yield from _rules(field, plan, course)
    if field.single is not None and not field.main and not plan.single:
        course.dropped[field.single] = f"left out at this budget, a seed costs {field.cost} trainings"
    left = budget - sum(len(seeds) * field.cost_of(name) for name, seeds in course.scores.items())
    if plan.members:
        found = yield Search(plan.members)
        left -= field.share * sum(plan.members.values())
        known = {name: score for name, score in found.items() if math.isfinite(score)}
        course.policy = max(known, key=lambda name: known[name]) if known else None
        for name in plan.members:
            if name != course.policy:
                course.dropped[name] = "a lower score on the hold-out than the other search"
    heads = [field.even, *([field.single] if field.main and field.single else [])]
    heads += [name for name in (course.rule, course.policy) if name is not None and name not in heads]
    course.planned = max(2, int(left / sum(map(field.cost_of, heads)) + 1e-9))
    course.finalists, stops = tuple(heads), sequential.looks(course.planned)
    course.looks, course.claims = len(stops), max(1, len(heads) - 1 + field.main)
    for look, stop in enumerate(stops):
        begun = stops[look - 1] if look else 0
        fresh = range(first + begun, first + stop)
        yield from _train(course, dict.fromkeys(course.finalists, fresh), "test")
        course.seeds, course.look = tuple(range(first, first + stop)), look
        for name in {field.even, field.base}:
            if not _finite(course.scores[name], course.seeds):
                raise RunError(f"{name}: a training diverged, so there is nothing to compare with")
        for name in [f for f in course.finalists if not _finite(course.scores[f], course.seeds)]:
            course.dropped[name] = "a training diverged"
            course.finalists = tuple(f for f in course.finalists if f != name)
        if judge(field, course, [course.scores], margin).kind is not Decision.UNDECIDED:
            break


def _train(course: Course, wanted: Mapping[str, Sequence[int]], stage: str) -> Generator[Train, Reply, None]:
    """Ask for trainings that are not there yet, and add their scores."""
    missing = {name: [s for s in seeds if s not in course.scores.get(name, {})] for name, seeds in wanted.items()}
    found = yield Train({name: seeds for name, seeds in missing.items() if seeds}, stage)
    for name, seeds in missing.items():
        course.scores.setdefault(name, {}).update({s: float(found[name][s]) for s in seeds})


def _finite(scores: Mapping[int, float], seeds: Sequence[int]) -> bool:
    return all(math.isfinite(scores.get(s, math.nan)) for s in seeds)


def _seeds(count: int) -> str:
    return "1 seed" if count == 1 else f"{count} seeds"


def _mean(course: Course, name: str, seeds: Sequence[int]) -> float:
    own = [course.scores[name].get(s, math.nan) for s in seeds]
    return sum(own) / len(own) if all(map(math.isfinite, own)) else -math.inf


def _rules(field: Field, plan: Allocation, course: Course) -> Generator[Train, Reply, int]:
    """Race the rules; return the first seed that nobody was trained on."""
    alive = list(field.rules)
    for number, count in enumerate(plan.phases):
        seeds = range(count)
        if number == 0:  # a few trainings that tell their time
            yield from _train(course, dict.fromkeys(alive, range(1)), "rules, first seed")
        alone = {field.single: range(plan.single)} if number == 0 and plan.single and field.single else {}
        yield from _train(course, {**dict.fromkeys(alive, seeds), **alone}, f"rules, phase {number + 1}")
        last = min(reversed(alive), key=lambda name: _mean(course, name, seeds))
        alive.remove(last)
        course.dropped[last] = f"the lowest mean of {len(alive) + 1} rules on {_seeds(count)}"
    course.rule = alive[0] if alive else None
    if plan.single and field.single and course.rule:
        _consider_single(field, plan, course)
    return plan.phases[-1] if plan.phases else 0


def _consider_single(field: Field, plan: Allocation, course: Course) -> None:
    """Let single-task models take the rule's place if they are ahead, and the budget has seeds for them."""
    assert field.single is not None
    assert course.rule is not None
    seeds = range(plan.single)
    ahead = _mean(course, field.single, seeds) - _mean(course, course.rule, seeds)
    affordable = int(plan.seeds * (1 + 1 + bool(plan.members)) / (1 + field.cost + bool(plan.members)))
    if ahead <= 0:
        course.dropped[field.single] = f"not ahead of {course.rule} on {_seeds(plan.single)}"
    elif affordable < FEWEST["seeds"]:
        course.dropped[field.single] = (
            f"ahead of {course.rule} on {_seeds(plan.single)}, but {field.cost} trainings a seed are too dear to test "
            "at this budget"
        )
    else:
        course.dropped[course.rule] = f"behind {field.single} on {_seeds(plan.single)}"
        course.rule = field.single
