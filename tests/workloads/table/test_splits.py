"""Splits of a table: every class in every part, groups whole, the future unseen, and what cannot be split is named."""

from __future__ import annotations

import numpy as np
import pytest

from scalarize.utils.errors import RequestError
from scalarize.workloads.table import splits
from scalarize.workloads.table.targets import Target

SHARES = (0.6, 0.2, 0.2)
BINARY = Target("sick", "binary", ("no", "yes"))
NUMBER = Target("price", "regression")


def labels(positives: int, rows: int = 200) -> np.ndarray:
    return np.r_[np.ones(positives), np.zeros(rows - positives)]


@pytest.mark.parametrize("positives", [3, 4, 7, 50])
@pytest.mark.parametrize("seed", range(5))
def test_every_part_has_every_class_in_proportion(positives: int, seed: int) -> None:
    y = labels(positives)
    rows = splits.stratified([BINARY], [y], SHARES, seed, np.arange(200))
    parts = list(rows.parts.values())
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(200))
    assert [len(p) for p in parts] == pytest.approx([120, 40, 40], abs=2)
    for part, share in zip(parts, SHARES, strict=True):
        assert y[part].sum() >= 1
        assert y[part].sum() == pytest.approx(share * positives, abs=1)


def test_numbers_are_spread_and_rare_classes_among_missing_labels_too() -> None:
    rng = np.random.default_rng(0)
    price = rng.lognormal(size=600)
    for part in splits.stratified([NUMBER], [price], SHARES, 0, np.arange(600)).parts.values():
        assert np.median(price[part]) == pytest.approx(np.median(price), rel=0.1)
    sick = np.where(rng.random(600) < 0.02, 1.0, 0.0)
    sick[::3] = np.nan  # partly labelled
    rows = splits.stratified([BINARY, NUMBER], [sick, price], SHARES, 0, np.arange(600))
    for part in rows.parts.values():
        assert np.nansum(sick[part]) >= 1


def test_splits_differ_by_seed_and_are_the_same_again() -> None:
    one, again, other = (splits.stratified([BINARY], [labels(50)], SHARES, s, np.arange(200)) for s in (0, 0, 1))
    assert np.array_equal(one.test, again.test)
    assert not np.array_equal(one.test, other.test)


def test_groups_stay_whole_and_both_classes_are_in_each_part() -> None:
    groups = np.repeat(np.arange(40), 5)
    y = np.repeat(np.r_[np.ones(4), np.zeros(36)], 5)  # four groups of the one class
    rows = splits.by_groups(groups, [BINARY], [y], SHARES, 0, "person")
    found = [set(groups[p]) for p in rows.parts.values()]
    assert sum(map(len, found)) == len(set.union(*found)) == 40
    assert splits.lacking([BINARY], [y], rows) is None


def test_time_splits_have_the_future_as_test_and_keep_ties_together() -> None:
    day = np.repeat(np.arange(20), 10)[::-1].astype(float)
    rows = splits.by_time(day, SHARES, "day")
    assert day[rows.train].max() < day[rows.validation].min()
    assert day[rows.validation].max() < day[rows.test].min()
    assert sum(map(len, rows.parts.values())) == 200


def test_a_split_column_decides() -> None:
    rows = splits.by_column(["train", "Test", "val", "train"], "part")
    assert (rows.train.tolist(), rows.validation.tolist(), rows.test.tolist()) == ([0, 3], [2], [1])
    with pytest.raises(RequestError, match="'part': 'later' in row 2 is none of train, validation, test"):
        splits.by_column(["train", "later"], "part")
    with pytest.raises(RequestError, match="no row is of 'validation'"):
        splits.by_column(["train", "test"], "part")


def test_what_a_split_lacks_is_said_with_its_target() -> None:
    y = labels(2)
    rows = splits.stratified([BINARY], [y], SHARES, 0, np.arange(200))
    said = splits.lacking([BINARY], [y], rows)
    assert said is not None
    assert "'sick'" in said
    assert "2 rows are 'yes' in all, and each of the three splits needs one at least" in said
    empty = np.where(np.isin(np.arange(200), rows.test), np.nan, labels(50))
    assert splits.lacking([BINARY], [empty], rows) == "target 'sick': no row of the test split has a label"
