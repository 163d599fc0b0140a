"""The contenders of a race, and the division of its budget: rules, searches, and the seeds of the test."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scalarize.utils.errors import RequestError

RULES, SINGLE, RANDOM, SEARCH = 0.25, 0.15, 0.1, 1 / 6  # shares of the budget; of searches: members a training
SHARES = {"random": RANDOM, "pbt": SEARCH}
FEWEST = {"first": 2, "random": 3, "search": 4, "seeds": 5}
MOST = 100_000  # trainings


@dataclass(frozen=True)
class Field:
    """The contenders of a race.

    even: name of the even weights. rules: those that cost one training a seed, in the order in which ties are broken.
    single: name of the models of one task each, None without; cost: their trainings a seed. main: ``single`` is a model
    of the one task that counts, which has to be beaten. searches: names of the searches, the cheapest first. share: of
    a training's cost that a search pays for a member.
    """

    even: str
    rules: tuple[str, ...] = ()
    single: str | None = None
    cost: int = 1
    main: bool = False
    searches: tuple[str, ...] = ("random", "pbt")
    share: float = 0.7

    @property
    def base(self) -> str:
        """The contender that is advised if nothing gains on it."""
        return self.single if self.main and self.single is not None else self.even

    def cost_of(self, name: str) -> int:
        """Return the trainings that a seed of a contender costs."""
        return self.cost if name == self.single else 1


@dataclass(frozen=True)
class Allocation:
    """The division of a budget: seeds of a rule after each phase, seeds of single-task models, members of searches,
    and the seeds that are left for the test."""

    phases: tuple[int, ...]
    single: int
    members: Mapping[str, int]
    seeds: int


def successive_rejects(arms: int, pulls: float) -> tuple[int, ...]:
    """Return the seeds of each arm after each phase, at least 2; in every phase one arm is dropped.

    >>> successive_rejects(4, 18)
    (3, 3, 5)
    """
    total = 0.5 + sum(1 / i for i in range(2, arms + 1))
    counts = [math.ceil((pulls - arms) / (total * (arms + 1 - k))) for k in range(1, arms)]
    found = [max(FEWEST["first"], n) for n in counts]
    while arms > 1 and _pulls(found) > max(pulls, FEWEST["first"] * arms) and found[-1] > FEWEST["first"]:
        found = [max(FEWEST["first"], n - 1) for n in found]  # rounding up may ask for more than there is
    return tuple(found)


def _pulls(counts: Sequence[int]) -> int:
    return sum(counts) + counts[-1] if counts else 0  # one arm fewer a phase; the last two share the last one


def allocate(field: Field, budget: float) -> Allocation:
    """Divide a budget.

    Args:
        field: the contenders.
        budget: trainings.

    Returns:
        The division, whose trainings are at most ``budget``.

    Raises:
        RequestError: it is too small; the message says the least.
    """
    if budget <= MOST:
        for less in range(int(budget) + 1):  # shares are rounded: a little more may be divided worse
            for alone in (True, False):
                found = _divide(field, budget - less, alone)
                if found.seeds >= FEWEST["seeds"]:
                    return found
    least = next(b for b in range(1, MOST) if _divide(field, b, False).seeds >= FEWEST["seeds"])
    wrong = f"at most {MOST:,}" if budget > MOST else f"at least {least} for these contenders"
    raise RequestError(f"`trainings` must be {wrong}, got {budget:g}")


def growth(field: Field, seeds: int, rule: str | None = None) -> int:
    """Return the trainings by which a budget has to grow for so many more seeds of the test.

    What goes before the test takes its share of them, too.

    Args:
        field: the contenders.
        seeds: further seeds.
        rule: the one that is tested, which may be models of one task each. Default: one training a seed.

    >>> growth(Field("even", ("a", "b")), 0), growth(Field("even", ("a", "b")), 9)
    (0, 48)
    """
    tested = (field.cost_of(rule) if rule else bool(field.rules)) + bool(field.searches) + field.main
    before = field.share * sum(SHARES[name] for name in field.searches) + RULES * (len(field.rules) > 1)
    return math.ceil(seeds * (1 + tested) / (1 - before) - 1e-9)


def _divide(field: Field, budget: float, with_single: bool) -> Allocation:
    phases = successive_rejects(len(field.rules), RULES * budget) if len(field.rules) > 1 else ()
    extra = with_single and field.single is not None and not field.main
    alone = min(FEWEST["first"], int(SINGLE * budget / field.cost)) if extra and phases else 0
    counts = {
        "random": max(FEWEST["random"], round(RANDOM * budget)),
        "pbt": max(FEWEST["search"], round(SEARCH * budget)),
    }
    members = {name: counts[name] for name in field.searches}
    spent = _pulls(phases) + alone * field.cost + field.share * sum(members.values())
    heads = 1 + bool(field.rules) + bool(members) + field.main
    return Allocation(phases, alone, members, max(0, int((budget - spent) / heads + 1e-9)))
