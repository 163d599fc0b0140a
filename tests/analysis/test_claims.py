"""Verdicts follow from intervals: whose parts, at which confidence, and over which data."""

from __future__ import annotations

import math

import pytest

from scalarize.analysis import claims
from scalarize.analysis.statistics import t_interval, welch_difference


@pytest.mark.parametrize(
    ("parts", "verdict"),
    [
        ([(0.1, 1.0)], "supported"),
        ([(-0.1, 1.0)], "undecided"),
        ([(-2.0, -0.1)], "not supported"),
        ([(0.1, 1.0), (-0.1, 1.0)], "undecided"),  # all parts must be above 0
        ([(0.1, 1.0), (-2.0, -0.1)], "not supported"),  # one part below 0 is enough
        ([(math.nan, math.nan)], "undecided"),
        ([], "undecided"),
    ],
)
def test_a_verdict_needs_all_parts_above_or_one_below(parts: list[tuple[float, float]], verdict: str) -> None:
    assert claims.verdict([{"low": low, "upper": upper} for low, upper in parts]) == verdict


def test_what_speaks_against_a_claim_is_corrected_for_its_parts() -> None:
    slightly = t_interval([-1.0, -1.2, -0.5])  # below 0 at 95 %, not at 98.75 %
    table = claims.table({("one", ""): {"a": slightly.at}, ("four", "b"): dict.fromkeys("abcd", slightly.at)})
    assert slightly.high < 0 < slightly.at(1 - 0.05 / 4).high
    assert table.findings == ("one: not supported.", "four, b: undecided.")
    assert list(table.frame.columns) == list(claims.COLUMNS)
    assert table.frame["upper"].iloc[0] == pytest.approx(slightly.high)
    assert table.frame["upper"].iloc[1] == pytest.approx(slightly.at(0.9875).high)


def test_a_claim_without_parts_says_so() -> None:
    assert claims.table({("one", ""): {}}).findings == ("one: undecided (nothing here measures it).",)


@pytest.mark.parametrize(
    ("values", "flaw", "verdict"),
    [
        ([1.0, 1.1, 1.2], [], "supported"),
        ([1.0, 1.1, 1.2], [claims.Flaw("at the edge")], "undecided"),  # beyond it may lie a better one
        ([-1.0, -1.1, -1.2], [claims.Flaw("at the edge")], "not supported"),
        ([-1.0, -1.1, -1.2], [claims.Flaw("3 epochs", both=True)], "undecided"),
    ],
)
def test_a_flaw_forbids_a_verdict_and_says_why(values: list[float], flaw: list[claims.Flaw], verdict: str) -> None:
    table = claims.table({("c", ""): {"a": t_interval(values).at}}, {("c", ""): flaw})
    assert table.frame["verdict"].tolist() == [verdict]
    assert table.findings == (f"c: {verdict}{f' ({flaw[0].why})' if flaw else ''}.",)
    assert table.frame["why"].tolist() == [flaw[0].why if flaw else ""]


def test_each_part_says_on_which_side_it_lies() -> None:
    parts = {"up": t_interval([1.0, 1.1]).at, "down": t_interval([-1.0, -1.01]).at, "open": t_interval([-1.0, 1.0]).at}
    frame = claims.table({("c", ""): parts}).frame
    assert frame["found"].tolist() == [claims.HOLDS, claims.CONTRARY, claims.OPEN]


def test_units_of_two_sides_are_those_of_the_smaller() -> None:
    a, b = [1.0, 1.1, 1.2], [0.0, 0.1]
    row = claims.table({("c", ""): {"a over b": lambda p: welch_difference(a, b, p)}}).frame.iloc[0]
    assert row["units"] == 2
    assert row["mean"] == pytest.approx(1.05)
    assert row["low"] == pytest.approx(welch_difference(a, b).low)
    assert row["verdict"] == "supported"


@pytest.mark.parametrize(
    ("verdicts", "both"),
    [
        (["supported", "supported"], "supported"),
        (["supported", "undecided"], "undecided"),
        (["supported", "not supported"], "undecided"),
        (["not supported", "undecided"], "not supported"),
        (["undecided"], "undecided"),
        ([], "undecided"),
    ],
)
def test_several_data_sets_have_one_verdict_where_they_agree(verdicts: list[str], both: str) -> None:
    assert claims.together(verdicts) == both
