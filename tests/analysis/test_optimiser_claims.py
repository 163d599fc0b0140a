"""Parts of claims about optimisers, of runs whose numbers are invented."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest

from scalarize.analysis import claims, front_claims, optimiser_claims
from scalarize.studies.kurin2022 import trials

SEEDS = range(4)


def rows(**values: Any) -> pd.DataFrame:
    """A run a seed: row -> its numbers."""
    return pd.DataFrame([{"row": r, "seed": s, "test": v} for r, vs in values.items() for s, v in enumerate(vs)])


def verdict(parts: Any) -> str:
    return str(claims.table({("it", ""): parts}).findings[0]).removeprefix("it: ").rstrip(".")


PLAIN = [0.70, 0.72, 0.71, 0.73]


def test_a_row_that_is_no_better_than_a_deviation_does_not_beat_plain_training() -> None:
    alike = rows(unitary=PLAIN, mgda=[v - 0.001 * (1 + s % 2) for s, v in enumerate(PLAIN)])
    parts = optimiser_claims.not_better(alike, "unitary")
    (interval,) = parts.values()
    assert interval(0.95).mean == pytest.approx(pd.Series(PLAIN).std() + 0.0015)
    assert verdict(parts) == "supported"
    beaten = rows(unitary=PLAIN, mgda=[v + 0.1 + 0.001 * s for s, v in enumerate(PLAIN)])
    assert verdict(optimiser_claims.not_better(beaten, "unitary")) == "not supported"
    assert verdict(optimiser_claims.not_better(beaten, "unitary", lower=True)) == "supported"
    assert optimiser_claims.not_better(beaten, "nobody") == {}


def test_a_seed_that_only_one_side_has_counts_for_nothing() -> None:
    frame = rows(unitary=PLAIN, mgda=PLAIN[:3])
    (interval,) = optimiser_claims.not_better(frame, "unitary").values()
    assert interval(0.95).n == 3


def peaks(**onsets: tuple[str, list[int], float]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"row": name.partition("_")[0], "kind": kind, "seed": s, "onset": o, "drop": drop + 0.01 * s}
            for name, (kind, own, drop) in onsets.items()
            for s, o in enumerate(own)
        ]
    )


def test_overfitting_is_later_if_the_onset_is_and_the_fall_is_smaller() -> None:
    later = peaks(unitary=("plain", [5, 6, 5, 6], 0.3), imtl=("plain", [10, 12, 11, 12], 0.1))
    parts = optimiser_claims.later_overfitting(later, "unitary", "plain")
    assert {k: round(v(0.95).mean, 6) for k, v in parts.items()} == {
        "onset, epochs: imtl minus unitary": 5.75,
        "fall after the best epoch: unitary minus imtl": 0.2,
    }
    earlier = peaks(unitary=("plain", [10, 12, 11, 12], 0.3), imtl=("plain", [5, 6, 5, 6], 0.1))
    assert verdict(optimiser_claims.later_overfitting(earlier, "unitary", "plain")) == "not supported"
    l2 = peaks(unitary=("plain", [5, 6, 5, 6], 0.3), unitary_l2=("l2", [9, 9, 8, 9], 0.1))
    found = optimiser_claims.regularised_later(l2, "unitary", "plain")
    assert found["onset, epochs: l2 minus plain"](0.95).mean == pytest.approx(3.25)


def test_larger_norms_and_the_largest_of_them() -> None:
    values = {"unitary": 1.0, "imtl": 5.0, "mgda": 4.0, "pcgrad": 2.0}
    frame = pd.DataFrame([{"row": r, "seed": s, "value": v + 0.01 * s} for r, v in values.items() for s in SEEDS])
    parts = optimiser_claims.larger(frame, "unitary", ("imtl", "mgda"))
    means = {name: interval(0.95).mean for name, interval in parts.items()}
    assert means == pytest.approx(
        {
            **{"imtl minus unitary": 4.0, "mgda minus unitary": 3.0, "pcgrad minus unitary": 1.0},
            "the least of imtl and mgda minus the largest other": 2.0,
        }
    )


def test_most_rows_near_the_optimum() -> None:
    curves = [
        {"run": f"{row}{s}", "row": row, "kind": "plain", "seed": s, "epoch": e, "task": task}
        | {"split": "train", "metric": "loss", "value": value if e else 1.0}
        for row, losses in {"a": (0.01, 0.02), "b": (0.03, 0.04), "c": (0.01, 0.5)}.items()
        for task, value in zip("xy", losses, strict=True)
        for s in SEEDS
        for e in (0, 1)
    ]
    (part,) = optimiser_claims.most_near_optimum(pd.DataFrame(curves), {"x": 1.0, "y": 1.0}).values()
    assert part(0.95).mean == pytest.approx(2 / 3 - 0.5)  # c leaves task y undone
    (part,) = optimiser_claims.most_near_optimum(pd.DataFrame(curves), {"x": 1.0, "y": 0.1}).values()
    assert part(0.95).mean == pytest.approx(-0.5)


def front(*points: tuple[str, float | None, float, float]) -> pd.DataFrame:
    return pd.DataFrame(
        [{"row": r, "weight": w, "x": x + 0.001 * s, "y": y, "seed": s} for r, w, x, y in points for s in SEEDS]
    )


LINE = [("line", 0.1, 0.1, 0.9), ("line", 0.3, 0.3, 0.6), ("line", 0.5, 0.5, 0.4), ("line", 0.9, 0.9, 0.1)]


def test_nothing_beyond_the_front() -> None:
    inside = front(*LINE, ("mgda", None, 0.6, 0.6), ("gradnorm-0.5", None, 0.7, 0.7), ("gradnorm-1", None, 0.8, 0.8))
    parts = front_claims.nothing_beyond(inside, "line", (1.0, 1.0), (False, False))
    assert list(parts) == [f"a weight of the front minus {r}, hypervolume added" for r in ("mgda", "gradnorm")]
    assert verdict(parts) == "supported"
    beyond = front(*LINE, ("mgda", None, 0.1, 0.1))
    assert verdict(front_claims.nothing_beyond(beyond, "line", (1.0, 1.0), (False, False))) == "not supported"
    assert front_claims.nothing_beyond(inside, "line", (0.05, 0.05), (False, False)) == {}  # nothing is in the corner


def test_fronts_strictly_to_the_lower_left() -> None:
    base = [("depth 1", 0.1, 0.2, 0.8), ("depth 1", 0.9, 0.8, 0.2)]
    strictly = front(*base, ("depth 2", 0.1, 0.1, 0.72), ("depth 2", 0.9, 0.72, 0.1))
    (part,) = front_claims.lower_left(strictly, "depth 1", (False, False)).values()
    assert part(0.95).mean == pytest.approx(0.1, abs=1e-3)
    half = front(*base, ("depth 2", 0.1, 0.1, 0.72), ("depth 2", 0.9, 0.9, 0.1))  # one end does not reach
    (part,) = front_claims.lower_left(half, "depth 1", (False, False)).values()
    assert part(0.95).mean < 0
    (part,) = front_claims.lower_left(strictly, "depth 1", (True, True)).values()
    assert part(0.95).mean < 0


def test_tuning_against_the_choice_of_a_row() -> None:
    def models(step: float, apart: float) -> pd.DataFrame:
        return pd.DataFrame(
            [
                {"row": r, "seed": 0, "test": 10 + k * apart + p * step, "validation": 10 + k * apart + p * step}
                for k, r in enumerate("abcde")
                for p in range(10)
            ]
        )

    (tuned,) = front_claims.tuning_over_choice(models(1.0, 0.01)).values()
    assert tuned(0.95).mean == pytest.approx(math.log(pd.Series(range(10)).std() / (0.01 * pd.Series(range(5)).std())))
    assert verdict({"x": tuned}) == "supported"
    assert verdict(front_claims.tuning_over_choice(models(0.001, 1.0))) == "not supported"
    assert verdict(front_claims.tuning_over_choice(models(0.0, 1.0))) == "undecided"
    deviations = pd.DataFrame(
        [{"row": "sparse grids", "mean": 0.6, "runs": 9}, {"row": "seeds", "mean": 0.1, "runs": 9}]
    )
    (ratio,) = front_claims.sparse_over_seeds(deviations).values()
    assert ratio(0.95).mean == pytest.approx(math.log(6))
    assert ratio(0.95).low == pytest.approx(math.log(6) - math.log(4.4332) / 2, abs=1e-3)  # F(0.975; 8, 8) = 4.433
    assert front_claims.sparse_over_seeds(deviations[:1]) == {}


def test_a_best_learning_rate_at_the_edge_is_named() -> None:
    rows = [("a", 0.1, 3.0), ("a", 0.3, 1.0), ("a", 1.0, 2.0), ("b", 0.1, 3.0), ("b", 0.3, 2.0), ("b", 1.0, 1.0)]
    frame = pd.DataFrame([{"row": r, "rate": rate, "validation": v, "test": v, "seed": 0} for r, rate, v in rows])
    assert front_claims.rates_at_the_edge(frame).endswith("for b")
    assert front_claims.rates_at_the_edge(frame[frame["row"] == "a"]) == ""
    assert front_claims.rates_at_the_edge(frame[frame["rate"] == 1.0]) == ""


def test_an_onset_in_the_last_epoch_is_none() -> None:
    frame = pd.DataFrame(
        [
            {"row": "unitary", "kind": "plain", "seed": seed, "onset": 4, "peak": 1.0, "drop": drop, "run": str(seed)}
            for seed, drop in enumerate((0.1, 0.0))
        ]
    )
    assert trials.still_learning(frame) == "validation is best in the last epoch of unitary in 1 of 2 runs"
    assert trials.still_learning(frame[frame["seed"] == 0]) == ""
    later = frame.assign(row="mgda", onset=9, drop=0.05)
    tried = trials.postponed({"average": pd.concat([frame, later])}, with_l2=False)
    assert set(tried.frame["why"]) == {trials.still_learning(frame)}
