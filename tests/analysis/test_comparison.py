"""Rows and verdicts from runs, with searches counted as the units that they are."""

import math

import numpy as np
import pytest
from scipy import stats

from reading import numbers
from scalarize.analysis import comparison, text_tables
from scalarize.utils.errors import RequestError


def run(method, seed, average, group=None, trainings=1, **more):
    return {
        "method": method,
        "group": group,
        "seed": seed,
        "test": {"task-a": average - 0.1, "task-b": average + 0.1},
        "average": average,
        "trainings": trainings,
        **more,
    }


UNIFORM = [run("uniform", k, 0.672 + 0.001 * k) for k in range(3)]
POLICY = [
    run("policy", seed, 0.684 + 0.002 * group + 0.0001 * seed, group, search_trainings=12)
    for group in range(3)
    for seed in range(3)
]


def test_rows_take_the_interval_over_searches():
    first, second = comparison.rows(UNIFORM + POLICY)
    assert (first["method"], first["seeds"], first["runs"], first["searches"]) == ("uniform", 3, 3, None)
    assert (first["trainings"], second["trainings"]) == (3, 3 * 12 + 9)
    assert (second["seeds"], second["runs"], second["searches"]) == (3, 9, 3)
    means = [0.6841, 0.6861, 0.6881]
    bounds = stats.ttest_1samp(means, 0).confidence_interval()
    assert second["average"]["low"] == pytest.approx(bounds.low)
    assert second["average"]["high"] == pytest.approx(bounds.high)
    assert second["tasks"]["task-b"]["mean"] == pytest.approx(0.7861)
    naive = stats.ttest_1samp([r["average"] for r in POLICY], 0).confidence_interval()
    assert bounds.high - bounds.low > 1.3 * (naive.high - naive.low)


def test_pairs_are_paired_where_seeds_are_shared():
    noise = [0.0, 0.05, 0.1, 0.15]
    a = [run("a", k, 0.5 + n + 0.01 + 0.001 * k) for k, n in enumerate(noise)]
    b = [run("b", k, 0.5 + n) for k, n in enumerate(noise)]
    shared = comparison.compare(a + b)[0]
    assert (shared.outcome, shared.difference.test) == ("wins", "paired")
    apart = comparison.compare(a + [{**r, "seed": r["seed"] + 10} for r in b])[0]
    assert (apart.outcome, apart.difference.test) == ("ties", "welch")
    assert apart.difference.p == pytest.approx(
        stats.ttest_ind([r["average"] for r in a], [r["average"] for r in b], equal_var=False).pvalue
    )


def test_a_search_and_a_seed_are_never_paired():
    verdict = comparison.compare(POLICY + UNIFORM)[0]
    assert verdict.difference.test == "welch"
    assert verdict.difference.n == (3, 3)
    assert numbers(verdict.sentence).count(3.0) >= 2
    last = [{**r, "method": "policy-last", "average": r["average"] - 0.001} for r in POLICY]
    assert comparison.compare(POLICY + last)[0].difference.test == "paired"


def test_outcomes_turn_round_with_order_and_direction():
    for first, second, lower, outcome in (
        (POLICY, UNIFORM, False, "wins"),
        (UNIFORM, POLICY, False, "loses"),
        (POLICY, UNIFORM, True, "loses"),
    ):
        verdict = comparison.compare(first + second, lower_is_better=lower)[0]
        assert verdict.outcome == outcome
        assert outcome in verdict.sentence.split()


def test_every_sentence_has_one_outcome_and_its_numbers():
    runs = UNIFORM + POLICY + [run("other", k, 0.673 - 0.001 * k) for k in range(3)]
    found = comparison.compare(runs, focus="policy")
    assert [(v.first, v.second) for v in found] == [("policy", "uniform"), ("policy", "other"), ("uniform", "other")]
    assert [v.family for v in found] == [2, 2, 1]
    for v in found:
        assert sum(word in v.sentence for word in (" wins ", " ties ", " loses ")) == 1
        assert v.sentence.endswith(".")
        assert "95 % interval" in v.sentence
    assert {1.31, 68.61, 67.3} <= set(numbers(found[0].sentence))
    tie = found[2]
    assert tie.outcome == "ties"
    assert round(100 * tie.detectable, 2) in numbers(tie.sentence)
    assert comparison.sentences(runs, "policy") == [v.sentence for v in found]
    assert len(comparison.compare(runs)) == 3
    assert {v.family for v in comparison.compare(runs)} == {3}


def test_holm_is_applied_over_the_family():
    random = np.random.default_rng(5)
    shifts = {"a": 0.0, "b": 0.01, "c": 0.02, "d": 0.03}
    runs = [run(m, k, 0.7 + 0.01 * random.normal() + shift) for m, shift in shifts.items() for k in range(5)]
    found = comparison.compare(runs, focus="a")
    raw = sorted(v.difference.p for v in found[:3])
    assert min(v.p for v in found[:3]) == pytest.approx(min(1.0, 3 * raw[0]))
    assert all(v.p >= v.difference.p for v in found)


def test_one_run_a_side_says_so():
    verdict = comparison.compare([run("a", 0, 0.7), run("b", 0, 0.6)])[0]
    assert verdict.outcome == "ties"
    assert math.isnan(verdict.p)
    assert "interval" not in verdict.sentence
    assert comparison.rows([run("a", 0, 0.7)])[0]["average"]["low"] is None


def test_equal_runs_tie_exactly():
    verdict = comparison.compare(UNIFORM + [{**r, "method": "twin"} for r in UNIFORM])[0]
    assert (verdict.outcome, verdict.p, verdict.difference.mean) == ("ties", 1.0, 0.0)


def test_wrong_requests():
    with pytest.raises(RequestError, match="no runs"):
        comparison.rows([])
    with pytest.raises(RequestError, match="two runs of uniform have seed 0"):
        comparison.rows([*UNIFORM, UNIFORM[0]])
    with pytest.raises(RequestError, match="different tasks"):
        comparison.rows([*UNIFORM, {**run("x", 0, 0.5), "test": {"else": 1.0}}])
    with pytest.raises(RequestError, match="did you mean 'policy'"):
        comparison.compare(UNIFORM + POLICY, focus="polcy")


def test_best_per_column_and_direction():
    rows = comparison.rows(UNIFORM + POLICY)
    assert comparison.best(rows) == {None: {"policy"}, "task-a": {"policy"}, "task-b": {"policy"}}
    assert comparison.best(rows, {"task-a"})["task-a"] == {"uniform"}


def test_the_text_table_lines_up_and_stars_the_best():
    rows = comparison.rows(UNIFORM + POLICY + [run("single-run", 0, 0.5)])
    text = text_tables.comparison_table(rows, scale=100)
    lines = text.splitlines()
    assert lines[0].split() == ["method", "average", "task-a", "task-b", "seeds", "trainings"]
    ends = {lines[0].rindex("trainings") + 9, len(lines[2]), len(lines[3]), len(lines[4])}
    assert len(ends) == 1
    assert "68.61 ±0.50*" in text
    assert "3 x 3" in lines[3]
    assert "50.00 ±?" in lines[4]
    assert text_tables.comparison_table([]) == "no runs"


def test_display_scale():
    assert comparison.display_scale(UNIFORM) == 100
    assert comparison.display_scale([run("a", 0, 35.2)]) == 1
