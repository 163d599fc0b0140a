"""The best by a score: the first of equal ones, in either direction; what is no number is an error with a name."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from scalarize.analysis import choice
from scalarize.runs.comparison_records import choose_rates
from scalarize.utils.errors import RunError

FRAME = pd.DataFrame(
    {
        "row": ["a", "a", "a", "b", "b"],
        "rate": [1, 1, 2, 1, 2],
        "score": [0.1, 0.5, 0.4, 0.2, -math.inf],
        "run": ["a10", "a11", "a20", "b10", "b20"],
    }
)


def test_the_first_of_the_best() -> None:
    scores = {"x": 0.2, "y": 0.7, "z": 0.7, "lost": -math.inf}
    assert choice.best(scores, lambda name: scores[name], str) == "y"
    assert choice.best(["x", "y"], lambda name: scores[name], str, lower=True) == "x"
    assert choice.best_rows(FRAME, ["row"], "score", "run")["run"].tolist() == ["a11", "b10"]
    assert choice.best_rows(FRAME.head(3), ["row"], "score", "run", lower=True)["run"].tolist() == ["a10"]
    means = choice.means(FRAME, ["row", "rate"], "score", "run")
    assert means["score"].tolist() == pytest.approx([0.3, 0.4, 0.2, -math.inf])
    assert choice.best_rows(means, ["row"], "score", "run")["rate"].tolist() == [2, 1]


def test_no_number_never_wins_and_never_ties() -> None:
    with pytest.raises(RunError, match=r"^second: its score is no number"):
        choice.best([0.1, math.nan, 0.9], float, lambda value: "second" if math.isnan(value) else "other")
    broken = FRAME.assign(score=[0.1, 0.5, math.nan, 0.2, 0.3])
    for call in (choice.best_rows, choice.means):
        with pytest.raises(RunError, match=r"^a20: "):
            call(broken, ["row"], "score", "run")


@pytest.mark.parametrize("lower", [False, True])
def test_a_learning_rate_at_which_a_training_diverged_at_once_has_lost(lower: bool) -> None:
    place = {"method": "m", "trainings": 1, "average": 0.5}
    lost = place | {"rate": 0.2, "validation": None, "average": None, "directories": ["d"]}
    good = place | {"rate": 0.1, "validation": 0.4, "directories": ["g"]}
    assert [r["rate"] for r in choose_rates([lost, good], lower)] == [0.1]
    with pytest.raises(RunError, match=r"^d: "):
        choose_rates([good, lost | {"validation": math.nan, "average": 0.5}], lower)
