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
