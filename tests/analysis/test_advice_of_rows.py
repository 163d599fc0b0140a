"""An advice from a comparison's records, as the demo ends with."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from scalarize.analysis import advice_words
from scalarize.analysis.advice import Decision
from scalarize.analysis.advice_of_rows import of_rows
from scalarize.analysis.race_budget import Field

FIELD = Field("uniform", ("inverse-loss", "inverse-constant"), "single")


def records(means: dict[str, float], deviation: float = 0.001, sign: float = 1.0) -> list[dict[str, Any]]:
    rng, found = np.random.default_rng(3), []
    for name in ("uniform", *FIELD.rules, "single", "policy"):
        for seed in range(3 if name in ("single", "policy") else 5):
            for group in range(3) if name == "policy" else [None]:
                seen = [sign * (0.7 + means.get(name, 0.0) + deviation * float(z)) for z in rng.standard_normal(2)]
                record = {"method": name, "seed": seed, "group": group, "validation": seen[0], "average": seen[1]}
                found.append(record)
    return found


CASES: list[tuple[dict[str, float], float, Decision, str]] = [
    ({}, 0.0001, Decision.EVEN, "uniform"),
    ({}, 0.02, Decision.UNDECIDED, "uniform"),
    ({"inverse-constant": 0.05}, 0.001, Decision.RULE, "inverse-constant"),
    ({"inverse-loss": 0.05, "inverse-constant": 0.0505, "single": 0.0505}, 0.001, Decision.RULE, "inverse-loss"),
    ({"inverse-loss": 0.05, "inverse-constant": 0.09}, 0.001, Decision.RULE, "inverse-constant"),
    ({"inverse-loss": 0.05, "policy": 0.09}, 0.001, Decision.SEARCH, "policy"),
    ({"inverse-loss": 0.05, "policy": 0.0505}, 0.001, Decision.RULE, "inverse-loss"),
    ({"single": 0.05}, 0.001, Decision.RULE, "single"),
]


@pytest.mark.parametrize(("means", "deviation", "kind", "method"), CASES)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_answer(means: dict[str, float], deviation: float, kind: Decision, method: str, sign: float) -> None:
    advice, course = of_rows(records(means, deviation, sign), FIELD, "policy", lower_is_better=sign < 0)
    assert (advice.kind, advice.method) == (kind, method)
    said = advice_words.sentences(advice, FIELD, course, advice_words.Units())
    assert said[0]
    if kind is Decision.SEARCH:
        assert advice.gain.n == 3  # searches, not their nine retrains


def test_a_row_that_diverged_is_left_out() -> None:
    found = records({"inverse-loss": 0.05})
    for record in found:
        if record["method"] == "policy":
            record["validation"] = record["average"] = None
    advice, course = of_rows(found, FIELD, "policy")
    assert advice.method == "inverse-loss"
    assert course.dropped == {"policy": "a training diverged"}
