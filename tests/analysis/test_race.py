"""The race behind an advice: budgets, stages, and how often its claims are wrong."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from scalarize.analysis import advice_words, race, sequential
from scalarize.analysis.advice import Advice, Decision, decide
from scalarize.analysis.race_budget import Field, allocate, growth, successive_rejects
from scalarize.utils.errors import RequestError, RunError

FIELD = Field("even", ("a", "b", "c"), "single", 3)
MAIN = Field("even", ("a", "b"), "single", 1, main=True)
Means = Mapping[str, float]


class Draws:
    """Normal scores around means, by contender, seed and split; two splits of a training have much in common."""

    def __init__(self, means: Means, number: int, deviation: float) -> None:
        self.means, self.deviation, self.rng = means, deviation, np.random.default_rng(number)

    def pair(self, name: str) -> tuple[float, float]:
        common, *own = self.rng.standard_normal(3) * self.deviation
        middle = 1.0 + self.means.get(name, 0.0) + 0.9 * common
        return middle + 0.4 * own[0], middle + 0.4 * own[1]


def raced(
    means: Means, number: int = 0, field: Field = FIELD, budget: float = 60, deviation: float = 0.02, test: bool = True
) -> tuple[Advice, race.Course, list[Any]]:
    """The answer on validation and test, the course, and the wishes."""
    course, wishes, draws, tested = race.Course(), [], Draws(means, number, deviation), {}
    going = race.run(field, budget, course)
    reply: Any = None
    while True:
        try:
            wish = going.send(reply)
        except StopIteration:
            break
        wishes.append(wish)
        if isinstance(wish, race.Search):
            reply = {name: means.get(name, 0.0) for name in wish.members}
            continue
        pairs = {n: {s: draws.pair(n) for s in own} for n, own in wish.wanted.items()}
        reply = {n: {s: pair[0] for s, pair in own.items()} for n, own in pairs.items()}
        for n, own in pairs.items():
            tested.setdefault(n, {}).update({s: pair[1] for s, pair in own.items()})
    return decide(field, course, [course.scores, *([tested] if test else [])]), course, wishes


@pytest.mark.parametrize("field", [FIELD, MAIN, Field("even"), Field("even", tuple("abcdefg"), "single", 40)])
def test_a_race_costs_at_most_its_budget_and_the_least_is_said(field: Field) -> None:
    with pytest.raises(RequestError, match="at least") as refused:
        allocate(field, 3)
    least = int(str(refused.value).split("at least ")[1].split()[0])
    with pytest.raises(RequestError):
        allocate(field, least - 1)
    for budget in (least, least + 1, 60, 61.5, 300):
        if budget >= least:
            _, _, wishes = raced({}, 1, field, budget)
            assert sum(race.cost_of(field, w) for w in wishes) <= budget + 1e-9


def test_more_budget_goes_to_the_rules_that_are_close() -> None:
    counts = successive_rejects(5, 40)
    assert counts == tuple(sorted(counts))
    assert counts[-1] > counts[0] >= 2
    _, course, _ = raced({"b": 0.2}, budget=120)
    lengths = {name: len(seeds) for name, seeds in course.scores.items()}
    assert course.rule == "b"
    assert lengths["b"] > max(lengths["a"], lengths["c"])


def test_what_was_chosen_is_tested_on_fresh_seeds() -> None:
    _, course, wishes = raced({"b": 0.2})
    before = {
        s for w in wishes if isinstance(w, race.Train) and w.stage != "test" for own in w.wanted.values() for s in own
    }
    assert before
    assert not before & set(course.seeds)


CASES: list[tuple[Field, Means, Decision, str]] = [
    (FIELD, {"b": 0.2}, Decision.RULE, "b"),
    (FIELD, {"b": 0.2, "pbt": 0.4}, Decision.SEARCH, "pbt"),
    (FIELD, {"b": 0.2, "random": 0.4}, Decision.SEARCH, "random"),
    (FIELD, {"a": -0.2, "b": -0.2, "c": -0.2, "random": -0.3, "pbt": -0.2, "single": -1}, Decision.EVEN, "even"),
    (MAIN, {"single": 0.2, "pbt": -0.1}, Decision.RULE, "single"),
    (MAIN, {"single": 0.2, "a": 0.2, "even": 0.2}, Decision.UNDECIDED, "even"),
    (MAIN, {"even": 0.2, "a": -0.1, "b": -0.1, "pbt": -0.1}, Decision.EVEN, "even"),
    (MAIN, {"a": 0.2}, Decision.RULE, "a"),
    (MAIN, {"pbt": 0.3, "a": 0.1}, Decision.SEARCH, "pbt"),
]


@pytest.mark.parametrize(("field", "means", "kind", "method"), CASES)
def test_the_answer(field: Field, means: Means, kind: Decision, method: str) -> None:
    advice, course, _ = raced({"single": -0.5} | means, field=field)
    assert (advice.kind, advice.method) == (kind, method)
    if kind in (Decision.RULE, Decision.SEARCH):
        assert advice.gain.low > 0
    others = advice_words.sentences(advice, field, course, advice_words.Units(), ["x"])
    assert others[0].split()[0].rstrip(":") in ("Even", "This", "Search", "Undecided", "Drop")


def test_a_main_task_alone_is_advised_if_nothing_gains_on_it() -> None:
    advice, course, _ = raced({"a": -0.1, "b": -0.1, "pbt": -0.2, "random": -0.3, "even": -0.001}, 0, MAIN, 60, 0.001)
    assert (advice.kind, advice.method) == (Decision.RULE, "single")
    said = advice_words.sentences(advice, MAIN, course, advice_words.Units(), ["x", "y"])[0]
    assert said.startswith("Drop the auxiliaries x, y: they gain too little; the best other, even, gains -0.0")


def test_models_of_one_task_take_the_place_of_a_rule_only_if_they_are_ahead_and_can_be_paid() -> None:
    ahead, course, _ = raced({"single": 0.3, "b": 0.1}, field=Field("even", ("a", "b"), "single", 2))
    assert (ahead.kind, ahead.method, course.rule) == (Decision.RULE, "single", "single")
    _, course, _ = raced({"single": 0.3, "b": 0.1}, field=Field("even", ("a", "b"), "single", 8))
    assert course.rule == "b"
    assert "too dear" in course.dropped["single"]


def test_a_contender_that_diverges_is_dropped_and_even_weights_must_not() -> None:
    advice, course, _ = raced({"pbt": math.nan, "random": math.nan, "c": math.nan})
    assert course.policy is None
    assert "c" in course.dropped
    assert advice.kind in (Decision.UNDECIDED, Decision.EVEN)
    with pytest.raises(RunError, match="even: a training diverged"):
        raced({"even": math.nan})


def test_a_race_that_was_stopped_says_so() -> None:
    course = race.Course()
    next(race.run(FIELD, 60, course))
    advice = decide(FIELD, course, [course.scores])
    assert advice.kind is Decision.UNDECIDED
    said = advice_words.sentences(advice, FIELD, course, advice_words.Units())
    assert said[0].startswith("Undecided: the time was over")


def test_a_test_split_that_disagrees_takes_a_claim_back() -> None:
    _, course, _ = raced({"b": 0.2})
    against = {n: dict.fromkeys(own, 1.0 + (n == "even")) for n, own in course.scores.items()}
    assert decide(FIELD, course, [course.scores]).kind is Decision.RULE
    assert decide(FIELD, course, [course.scores, against]).kind is Decision.UNDECIDED


COUNT = 100


def false_claims(field: Field = MAIN) -> int:
    """Claims by validation alone, of contenders that are all alike."""
    found = [raced({}, number, field, 40, test=False)[0] for number in range(COUNT)]
    return sum(a.kind is not Decision.UNDECIDED and a.method == a.method_of_gain != a.over for a in found)


def test_claims_are_false_in_at_most_five_of_a_hundred_by_validation_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert false_claims() <= 0.05 * COUNT
    assert false_claims(FIELD) <= 0.05 * COUNT
    monkeypatch.setattr(sequential, "level", lambda look, count, claims: 0.05)  # each claim, at each look
    assert false_claims() > 0.05 * COUNT


def test_levels_of_all_claims_and_looks_make_five_in_a_hundred() -> None:
    for claims in (1, 2, 4):
        for seeds in (5, 9, 30):
            count = len(sequential.looks(seeds))
            assert claims * sum(sequential.level(k, count, claims) for k in range(count)) == pytest.approx(0.05)


def test_intervals_without_spread_need_as_many_seeds_as_signs_do() -> None:
    assert math.isnan(sequential.interval([0.1] * 5, 0.02).low)
    assert sequential.interval([0.1] * 6, 0.02).low == pytest.approx(0.1)
    assert sequential.interval([0.0] * 3, 0.02).high == 0.0
    assert math.isnan(sequential.interval([0.1], 0.02).low)


def test_seeds_that_would_tell_a_difference_find_it() -> None:
    gaps = np.random.default_rng(0).standard_normal(6).tolist()
    needed = sequential.seeds_to_tell(gaps, 0.5 * float(np.std(gaps, ddof=1)), 0.025)
    assert needed == 34  # of a table: a paired t-test, 80 % power, effect 0.5


TWO = Field("even", ("b",), searches=())
ZIGZAG = [0.01, -0.01, 0.01, -0.01, 0.01, -0.01]


def judged(validation: list[float], test: list[float], margin: float | None = 0.005, level: float = 0.5) -> Advice:
    """The advice if a rule gains so much by seed on two splits."""
    seeds = range(len(validation))
    splits = [{"even": dict.fromkeys(seeds, level), "b": {s: level + g for s, g in zip(seeds, own, strict=True)}}
              for own in (validation, test)]  # fmt: skip
    course = race.Course(splits[0], ("even", "b"), "b", None, tuple(seeds), planned=len(validation))
    advice = decide(TWO, course, splits, margin)
    words = advice_words.sentences(advice, TWO, course, advice_words.Units())
    assert words
    return advice


def said(advice: Advice) -> str:
    return advice_words.sentences(advice, TWO, race.Course(rule="b"), advice_words.Units())[0]


def test_splits_that_contradict_each_other_are_not_to_be_settled_by_more_trainings() -> None:
    gains = [0.05 + z for z in ZIGZAG]
    advice = judged(gains, [-g for g in gains])
    assert (advice.kind, advice.more, advice.contrary) == (Decision.UNDECIDED, 0, True)
    assert "disagree; more rows would tell" in said(advice)
    assert advice.validation is not None
    assert advice.validation.low > 0 > advice.gain.high
    assert "on validation)" in said(advice)


def test_seeds_that_the_test_split_needs_are_counted() -> None:
    sure, unsure = [0.05 + z for z in ZIGZAG], [0.01 + 4 * z for z in ZIGZAG]
    advice = judged(sure, unsure)
    assert (advice.kind, advice.contrary) == (Decision.UNDECIDED, False)
    assert advice.more > 10


def test_repeated_gains_ask_for_as_many_seeds_as_signs_do() -> None:
    advice = judged([0.05] * 3, [0.05] * 3)
    assert (advice.kind, advice.more) == (Decision.UNDECIDED, 2)
    assert judged([0.05] * 5, [0.05] * 5).kind is Decision.RULE


@pytest.mark.parametrize("level", [0.0, 0.7])
def test_scores_that_are_equal_but_for_rounding_need_no_weights(level: float) -> None:
    rounding = [level * 1e-15 * k for k in (1, 2, 1, 3, 1, 1)]
    advice = judged(rounding, rounding, margin=None, level=level)
    assert (advice.kind, advice.gain.mean) == (Decision.EVEN, 0.0)
    assert judged(rounding, rounding, margin=1e-300, level=level).kind is Decision.EVEN


def test_an_open_contender_is_named_where_another_has_no_gain() -> None:
    field = Field("even", ("b",), searches=("pbt",))
    own = {"even": [0.5] * 6, "b": [0.5] * 6, "pbt": [0.49 + 5 * z for z in ZIGZAG]}
    scores = {name: dict(enumerate(values)) for name, values in own.items()}
    course = race.Course(scores, tuple(own), "b", "pbt", tuple(range(6)), planned=6)
    advice = decide(field, course, [scores, scores], 0.005)
    assert (advice.kind, advice.method_of_gain) == (Decision.UNDECIDED, "pbt")
    assert advice.gain.mean == pytest.approx(-0.01)


@pytest.mark.parametrize("seeds", [5, 20, 60])
def test_a_budget_that_grows_as_said_has_the_seeds(seeds: int) -> None:
    for field in (FIELD, MAIN, Field("even", tuple("abcdefg")), TWO):
        before = allocate(field, 80)
        after = allocate(field, 80 + growth(field, seeds))
        assert seeds - 2 <= after.seeds - before.seeds <= seeds + 2
    assert growth(FIELD, seeds, "single") > growth(FIELD, seeds, "a")
