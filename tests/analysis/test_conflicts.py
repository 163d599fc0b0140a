"""Shares of conflicts on frames whose answers are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from scalarize.analysis import conflicts

LABELS = ["rate", "width"]


def courses(effect: dict[str, float]) -> pd.DataFrame:
    """Two rates x two widths x two seeds; the share rises over two epochs and with the axes' effects."""
    rows: list[dict[str, Any]] = []
    for rate in (0, 1):
        for width in (0, 1):
            for seed in (0, 1):
                label = {"run": f"{rate}{width}{seed}", "seed": seed, "rate": rate, "width": width}
                base = 0.2 + effect["rate"] * rate + effect["width"] * width
                for epoch in (1, 2):
                    at = label | {"epoch": epoch}
                    rows += [at | {"metric": "conflict", "task": t, "value": base + d} for t, d in PAIRS.items()]
                    rows += [at | {"metric": "loss", "task": "a", "value": 1.0 / epoch}]
                    rows += [at | {"metric": "conflict:first", "task": "all", "value": 0.1 * width}]
    return pd.DataFrame(rows)


PAIRS = {"a|b": -0.1, "a|c": 0.0, "b|c": 0.1}


def test_variance_is_attributed_to_its_axis() -> None:
    found = courses({"rate": 0.2, "width": 0.02})
    runs = conflicts.per_run(conflicts.per_epoch(found, LABELS), LABELS)
    assert len(runs) == 8
    table = conflicts.axis_variance(runs, LABELS).groupby("axis")["variance"].mean()
    assert table["rate"] == pytest.approx(0.2**2 / 2)
    assert table["width"] == pytest.approx(0.02**2 / 2)
    assert table["seed"] == pytest.approx(0.0)
    gap = conflicts.ratio(conflicts.axis_variance(runs, LABELS), "rate", "width")
    assert gap.mean == pytest.approx(2.0)
    assert gap.n == 2


def test_a_rise_is_the_trend_of_all_epochs_and_not_of_two() -> None:
    rows = [{"run": "a", "seed": 0, "epoch": e, "share": s} for e, s in enumerate([0.5, 0.1, 0.2, 0.3, 0.4, 0.5])]
    (run,) = conflicts.per_run(pd.DataFrame(rows), []).to_dict("records")
    assert run["end"] - run["start"] == 0
    assert run["rise"] == pytest.approx(5 * np.polyfit(range(6), [0.5, 0.1, 0.2, 0.3, 0.4, 0.5], 1)[0])
    assert run["epochs"] == 6
    (single,) = conflicts.per_run(pd.DataFrame(rows[:1]), []).to_dict("records")
    assert np.isnan(single["rise"])


def test_an_axis_with_one_value_says_nothing() -> None:
    found = courses({"rate": 0.2, "width": 0.0})
    one = found[found["width"] == 0]
    runs = conflicts.per_run(conflicts.per_epoch(one, LABELS), LABELS)
    assert set(conflicts.axis_variance(runs, LABELS)["axis"]) == {"rate", "seed"}


def test_pairs_and_layers() -> None:
    found = courses({"rate": 0.0, "width": 0.0})
    pairs = conflicts.pairs(found).set_index(["a", "b"])["share"]
    assert pairs["a", "b"] == pytest.approx(0.1)
    assert pairs["b", "c"] == pytest.approx(0.3)
    layers = conflicts.layers(found, ["width"]).set_index("width")
    assert layers.loc[1, "share"] == pytest.approx(0.1)
    assert set(layers["layer"]) == {"first"}


def test_relation_to_the_score() -> None:
    runs = conflicts.per_run(conflicts.per_epoch(courses({"rate": 0.2, "width": 0.02}), LABELS), LABELS)
    score = -runs.set_index("run")["share"]
    assert conflicts.relation(runs, score) == pytest.approx(-1)
    assert np.isnan(conflicts.relation(runs, score * 0))


def test_scores_stand_beside_the_shares_of_their_epoch_if_there_are_any() -> None:
    found = courses({"rate": 0.0, "width": 0.0}).assign(split="train")
    metrics = {"a": ("accuracy", 1), "b": ("error", -1)}
    assert conflicts.per_epoch(found, LABELS, metrics)["score"].isna().all()  # no split was measured
    place = found[found["metric"] == "loss"].assign(split="validation")
    held = [place.assign(task=t, metric=m, value=v) for t, m, v in (("a", "accuracy", 0.9), ("b", "error", 0.5))]
    epochs = conflicts.per_epoch(pd.concat([found, *held, place.assign(value=99.0)]), LABELS, metrics)
    assert epochs["score"].tolist() == pytest.approx([0.2] * len(epochs))
    assert set(epochs["loss"]) == {1.0, 0.5}  # of the training alone


def test_layers_that_differ_have_a_variance() -> None:
    found = courses({"rate": 0.0, "width": 0.0})
    more = found[found["metric"] == "conflict:first"].assign(metric="conflict:second", value=0.5)
    table = conflicts.layer_variance(pd.concat([found, more])).set_index("seed")
    assert set(table["axis"]) == {"layer"}
    assert table.loc[0, "variance"] == pytest.approx((0.5**2 / 2 + 0.4**2 / 2) / 2)
    assert conflicts.layer_variance(found).empty  # one layer alone
