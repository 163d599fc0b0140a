"""Trade-offs of known models: who adds what to a front, weights over training, rankings, deviations."""

from __future__ import annotations

import pandas as pd
import pytest

from scalarize.analysis import trade_offs

LOWER = (False, False)


def models(*rows: tuple[str, int, float, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["row", "seed", "x", "y"])


def test_each_row_has_its_own_front() -> None:
    frame = models(("s", 0, 1, 3), ("s", 0, 3, 1), ("s", 0, 3, 3), ("m", 0, 4, 4), ("m", 0, 5, 5))
    assert trade_offs.within(frame, LOWER).tolist() == [True, True, False, True, False]


def test_what_is_added_to_the_hypervolume_is_that_of_areas() -> None:
    # Seed 0: the front's area below the corner (4, 4) is 5; (2, 2) adds 1. Seed 1: 1, and (3, 3) adds nothing.
    rows = [("s", 0, 1, 3), ("s", 0, 3, 1), ("m", 0, 2, 2), ("bad", 0, 9, 9), ("s", 1, 3, 3), ("m", 1, 3, 3)]
    found = trade_offs.volumes(models(*rows), "s", (4.0, 4.0), LOWER).set_index(["row", "kind"])["mean"]
    assert found["s", "hypervolume"] == pytest.approx((5 + 1) / 2)
    assert found["m", "added"] == pytest.approx((1 + 0) / 2)
    assert found["bad", "added"] == 0
    said = trade_offs.added(trade_offs.volumes(models(*rows), "s", (4.0, 4.0), LOWER))
    assert "Hypervolume of the front: 3. Most is added by m: 0.5 (16.7 %" in said


def test_a_weight_of_the_front_left_out_is_the_yardstick() -> None:
    # Below (4, 4): (1, 3), (2, 2) and (3, 1) have an area of 6; without (2, 2) it is 5.
    frame = models(("s", 0, 1, 3), ("s", 0, 2, 2), ("s", 0, 3, 1), ("m", 0, 2.5, 2.5)).assign(
        weight=[0.1, 0.5, 0.9, None]
    )
    found = trade_offs.volumes(frame, "s", (4.0, 4.0), LOWER)
    means = found.set_index("kind")["mean"]
    assert means["left out"] == pytest.approx(1.0)
    assert means["added"] == 0
    assert "adds 1 to the others" in trade_offs.added(found)


def test_the_corner_is_what_is_known_else_the_worst() -> None:
    frame = models(("s", 0, 1, 3), ("s", 0, 3, 1))
    assert trade_offs.corner(frame, {"x": 7.0}, LOWER) == (7.0, 3.0)
    assert trade_offs.corner(frame, {}, (True, False)) == (1.0, 3.0)


def test_the_share_of_the_first_weight_is_followed_over_epochs() -> None:
    rows = []
    for seed, courses in enumerate(([(0, 0, 2, 2), (1, 0, 3, 1), (2, 1, 4, 0)], [(0, 0, 1, 3)])):
        for step, epoch, a, b in courses:
            place = {"row": "m", "seed": seed, "epoch": epoch, "step": step, "metric": "weight", "split": "train"}
            rows += [{**place, "task": "a", "value": a}, {**place, "task": "b", "value": b}]
    rows.append({**rows[0], "metric": "loss", "value": 99.0})
    found = trade_offs.weight_of_first(pd.DataFrame(rows), "a")
    assert found["epoch"].tolist() == [1, 2]
    assert found["mean"].tolist() == pytest.approx([((0.5 + 0.75) / 2 + 0.25) / 2, 1.0])


def test_utilities_choose_on_validation_and_rank_on_test() -> None:
    columns = ["row", "seed", "x", "y", "x_validation", "y_validation"]
    frame = pd.DataFrame(
        [("s", 0, 1.0, 9.0, 1.0, 9.0), ("s", 0, 5.0, 5.0, 0.5, 5.0), ("m", 0, 4.0, 6.0, 4.0, 4.0)], columns=columns
    )
    found = trade_offs.by_utility(frame, ["s", "m"], [0.0, 1.0])
    assert found["test"].tolist() == [5.0, 6.0, 5.0, 4.0]  # the second is chosen at u = 1: validation, not test
    assert trade_offs.rankings(found) == "Best by the weight of the second task in the utility: s at 0; m at 1."


def test_deviations_over_grids_and_seeds() -> None:
    rows = [("k = 1", 1.0, 2.0), ("k = 1", 0.5, 3.0), ("k = 2", 0.5, 5.0), ("seeds", 1.0, 1.0), ("seeds", 1.0, 3.0)]
    found = trade_offs.of_tunings(pd.DataFrame(rows, columns=["row", "validation", "test"])).set_index("row")
    assert found.loc["sparse grids", "mean"] == pytest.approx(2**0.5)  # of 3 and 5, each chosen on validation
    assert found.loc["seeds", "mean"] == pytest.approx(2**0.5)
    assert found.loc["seeds", "low"] < 2**0.5 < found.loc["seeds", "high"]
    assert "1.0 times as far as seeds, 1.41" in trade_offs.tuning_in_words(found.reset_index())
    few = pd.DataFrame(rows[:4], columns=["row", "validation", "test"])
    assert trade_offs.tuning_in_words(trade_offs.of_tunings(few)).startswith("Too few")
