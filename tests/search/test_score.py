"""Scores: metrics of tasks to one number."""

import numpy as np
import pytest

from scalarize.search import score
from scalarize.utils.errors import RequestError

METRICS = np.array([[0.2, 0.4, 0.9], [0.5, 0.5, 0.5], [np.nan, 1.0, 1.0]])


def of(text, reference=None):
    return score.create(text, ("a", "b", "c"), reference)(METRICS)[:2].tolist()


def test_average_worst_utility_and_gain():
    assert of("average") == pytest.approx([0.5, 0.5])
    assert of("worst") == pytest.approx([0.2, 0.5])
    assert of("a=2,c=1") == pytest.approx([1.3 / 3, 0.5])
    assert of("gain", {"a": 0.4, "b": 0.4, "c": -0.9}) == pytest.approx(
        [(-0.5 + 0 + 2) / 3, (0.25 + 0.25 + 14 / 9) / 3]
    )


@pytest.mark.parametrize("text", ["average", "worst", "a=1"])
def test_a_missing_metric_of_a_task_that_counts_spoils_the_score(text):
    assert np.isnan(score.create(text, ("a", "b", "c"))(METRICS)[2])


def test_a_task_left_out_of_the_utility_does_not_count():
    assert score.create("b=1", ("a", "b", "c"))(METRICS)[2] == 1.0


@pytest.mark.parametrize(
    ("text", "reference", "message"),
    [
        ("averge", None, "did you mean 'average'"),
        ("a=1,x=2", None, "unknown task 'x'"),
        ("a=one", None, "no number"),
        ("a=-1", None, ">= 0"),
        ("a=0", None, "above 0"),
        ("gain", None, "missing: a, b, c"),
        ("gain", {"a": 1.0, "b": 1.0}, "missing: c"),
        ("gain", {"a": 1.0, "b": 0.0, "c": 1.0}, "other than 0"),
    ],
)
def test_anything_else_is_refused(text, reference, message):
    with pytest.raises(RequestError, match=message):
        score.create(text, ("a", "b", "c"), reference)


def test_one_main_task_is_all_that_counts():
    assert of("main=b") == of("b=1") == [0.4, 0.5]
    assert score.create("main=b", ("a", "b", "c"))(METRICS)[2] == 1.0  # a's metric is no number
    assert score.shares("main=b", ("a", "b", "c")) == {"a": 0.0, "b": 1.0, "c": 0.0}


def shares(text, *tasks):
    return {name: share for name, share in score.shares(text, tasks).items() if share}


def test_a_number_after_main_is_the_weight_of_a_task_of_that_name():
    assert shares("main=3,b=1", "main", "b") == {"main": 0.75, "b": 0.25}
    assert shares("main=2", "main", "2") == {"main": 1.0}
    assert shares("main=b", "main", "b") == {"b": 1.0}
    assert shares("main=main", "main", "b") == {"main": 1.0}
    assert shares("main=inf", "a", "inf") == {"inf": 1.0}  # not a weight


def test_names_may_hold_what_separates_them():
    assert shares("main=rate, %", "rate, %", "x=y") == {"rate, %": 1.0}
    assert shares("rate, %=3,x=y=1", "rate, %", "x=y") == {"rate, %": 0.75, "x=y": 0.25}
    assert shares("a = 1, b=1", "a", "b") == {"a": 0.5, "b": 0.5}
    assert shares("a=1,a=b=1", "a", "a=b", "c") == {"a": 0.5, "a=b": 0.5}


def test_what_is_no_weighted_mean_has_no_shares():
    assert score.shares("worst", ("a", "b")) is None
    assert score.shares("average", ("a", "b")) == {"a": 0.5, "b": 0.5}


@pytest.mark.parametrize(
    ("text", "tasks", "message"),
    [
        ("main=prise", ("price", "b"), "unknown task 'prise' in the score 'main=prise'.*did you mean 'price'"),
        ("main=", ("a", "b"), "unknown task ''"),
        ("main=a,b=1", ("a", "b"), "unknown task 'a,b=1'"),
        ("main=5", ("5", "b"), "a number is a weight; for the task 5 alone write 5=1"),
        ("main=5", ("a", "b"), "unknown task 'main'"),
        ("main=x", ("main", "b"), "'x' is no number"),
        ("a=1,a=2", ("a", "b"), "a is named twice"),
        ("a,b", ("a", "b"), "unknown score 'a,b'"),
        ("a=1,b", ("a", "b"), "'' is no number"),
    ],
)
def test_unknown_and_ambiguous_names_are_refused(text, tasks, message):
    with pytest.raises(RequestError, match=message):
        score.create(text, tasks)
