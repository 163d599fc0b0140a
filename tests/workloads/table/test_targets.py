"""Targets: kinds inferred or said, the numbers that are trained on, and the way back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from scalarize.tasks.task import Task
from scalarize.utils.errors import RequestError
from scalarize.workloads.table.options import TARGET_KINDS, TableOptions
from scalarize.workloads.table.targets import Target, pose
from scalarize.workloads.table.tasks import task_of

RNG = np.random.default_rng(0)
ROWS = np.arange(200)


def posed(cells: Any, **options: Any) -> tuple[Target, np.ndarray]:
    target, values = pose("y", pd.Series(cells), TableOptions.read(options))
    return target.fitted(values, ROWS[: len(values)]), values


KINDS = {
    "binary": (["no", "yes"] * 100, "binary"),
    "truth": ([True, False] * 100, "binary"),
    "words": (["a", "b", "c", "d"] * 50, "classes"),
    "few whole numbers": (list(range(10)) * 20, "classes"),
    "many whole numbers": (list(range(200)), "regression"),
    "real": (RNG.normal(size=200), "regression"),
}


@pytest.mark.parametrize("what", KINDS)
def test_kinds_are_inferred(what: str) -> None:
    cells, kind = KINDS[what]
    assert posed(cells)[0].kind == kind


@pytest.mark.parametrize("kind", ["regression", "huber", "log", "count", "ordinal", "classes"])
def test_kinds_are_what_the_user_says(kind: str) -> None:
    target, values = posed(RNG.poisson(2, size=200), types={"y": kind})
    assert target.kind == kind
    prepared = target.prepared(values)
    assert np.isfinite(prepared).all()
    if not target.classes:
        np.testing.assert_allclose(target.undo_target(prepared), values, atol=1e-5)


def test_large_offsets_change_nothing() -> None:
    y = RNG.normal(size=200)
    plain, offset = posed(y), posed(y * 1e6 + 1.7e12)
    np.testing.assert_allclose(offset[0].prepared(offset[1]), plain[0].prepared(plain[1]), atol=1e-4)
    np.testing.assert_allclose(offset[0].undo(offset[0].prepared(offset[1])), y * 1e6 + 1.7e12, rtol=1e-12)


def test_missing_labels_are_no_class_unless_said() -> None:
    target, values = posed([0, 1, -1, None] * 50)
    assert target.classes == (-1, 0, 1)
    assert np.isnan(values).sum() == 50
    target, values = posed([0, 1, -1, None] * 50, missing={"y": "-1"})
    assert (target.kind, target.classes) == ("binary", (0, 1))
    assert np.isnan(values).sum() == 100


def test_na_is_a_class_among_words_and_said() -> None:
    target, _ = posed(["NA", "EU", "AS", ""] * 50)
    assert target.classes == ("AS", "EU", "NA")
    assert "'NA' is taken for a class (50 rows)" in str(target.understood)
    assert posed(["NA", "EU", "AS", "EU"] * 50, missing={"y": "NA"})[0].classes == ("AS", "EU")


@pytest.mark.parametrize(
    ("cells", "options", "said"),
    [
        ([1.0] * 200, {}, "'y' is constant"),
        ([f"w{k}" for k in range(200)], {}, "'w0' in row 1 is no number"),
        ([*["a", "b"] * 99, "c", "d"], {"types": {"y": "binary"}}, "4 distinct values"),
        (["a", "b"] * 100, {"types": {"y": "regression"}}, "'a' in row 1 is no number"),
        ([*range(-3, 197)], {"types": {"y": "count"}}, "-3 in row 1 is below 0"),
        ([*range(199), np.inf], {}, "infinite"),
        (["2020-01-31", "2020-02-01", "2020-03-01", "2020-04-07"] * 50, {}, "`types` y=classes"),
        ([f"{y}-{m:02}-01" for y in range(1900, 2000) for m in (1, 7)], {}, "since a start$"),
    ],
)
def test_what_cannot_be_a_target_is_named(cells: Any, options: dict[str, Any], said: str) -> None:
    with pytest.raises(RequestError, match=said):
        posed(cells, **options)


# --- tasks ----------------------------------------------------------------------------------------------------------


def tasks() -> dict[str, tuple[Target, Task, np.ndarray]]:
    counts = RNG.poisson(2, size=200)
    found = {}
    for kind in TARGET_KINDS:
        cells = (counts > 2) if kind == "binary" else counts
        target, values = posed(cells, types={"y": kind})
        found[kind] = (target, task_of(target), values)
    return found


@pytest.mark.parametrize("kind", TARGET_KINDS)
def test_the_constant_predictor_of_each_kind_is_a_constant_and_none_is_better(kind: str) -> None:
    target, task, values = tasks()[kind]
    labels = torch.from_numpy(target.prepared(values))
    assert task.constant_loss is not None
    stated = task.constant_loss(labels)
    output = torch.zeros(1, task.outputs, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([output], max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = task.loss(output.expand(len(labels), -1), labels.double() if labels.is_floating_point() else labels)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[arg-type]
    best = closure().item()
    assert stated == pytest.approx(best, rel=0.05 if kind == "huber" else 1e-4)  # huber states the median's


@pytest.mark.parametrize("kind", TARGET_KINDS)
def test_the_loss_of_members_is_the_mean_of_their_losses(kind: str) -> None:
    target, task, values = tasks()[kind]
    labels = torch.from_numpy(target.prepared(values))
    members = torch.randn(len(labels), 3, task.outputs, generator=torch.Generator().manual_seed(0))
    one_by_one = torch.stack([task.loss(members[:, k], labels) for k in range(3)]).mean()
    assert float(task.loss(members, labels)) == pytest.approx(float(one_by_one), rel=1e-5)


def test_metrics_are_in_the_units_of_the_table() -> None:
    y = RNG.normal(50_000, 10_000, size=200)
    target, values = posed(y)
    task = task_of(target)
    assert task.metric_name == "rank-agreement"
    meters = {m.name: m.metric() for m in task.extra_metrics}
    labels = torch.from_numpy(target.prepared(values))
    for meter in meters.values():
        meter.update(labels.reshape(-1, 1) + 0.1, labels)  # type: ignore[union-attr]
    assert meters["mae"].compute() == pytest.approx(0.1 * y.std(), rel=1e-4)
    assert meters["r2"].compute() == pytest.approx(1 - 0.01, rel=1e-4)


def test_a_metric_can_be_chosen_if_it_suits() -> None:
    assert task_of(posed(RNG.normal(size=200), metrics={"y": "r2"})[0]).metric_name == "r2"
    mae = task_of(posed(RNG.normal(size=200), metrics={"y": "mae"})[0])
    assert not mae.higher_is_better
    with pytest.raises(RequestError, match="unknown metric 'auroc'"):
        task_of(posed(RNG.normal(size=200), metrics={"y": "auroc"})[0])


def test_balanced_classes_weigh_the_same_however_rare() -> None:
    target, values = posed(["no"] * 180 + ["yes"] * 20, class_weights=["y"])
    task, labels = task_of(target), torch.from_numpy(target.prepared(values))
    assert task.constant_loss is not None
    assert task.constant_loss(labels) == pytest.approx(np.log(2))  # as if there were as many of each
    always = [task.loss(torch.full((200, 1), logit), labels).item() for logit in (-3.0, 3.0)]
    assert always[0] == pytest.approx(always[1])
    plain = task_of(posed(["no"] * 180 + ["yes"] * 20)[0])
    assert plain.loss(torch.full((200, 1), -3.0), labels) < plain.loss(torch.full((200, 1), 3.0), labels)


def test_targets_survive_json() -> None:
    import json

    for kind, (target, _, _) in tasks().items():
        assert Target.from_dict(json.loads(json.dumps(target.to_dict()))) == target, kind


@pytest.mark.parametrize("large", [2e154, 5e153, 1e300])
def test_numbers_whose_squares_have_no_sum_are_refused(large: float) -> None:
    with pytest.raises(RequestError, match="too large to compute with"):
        pose("b", pd.Series([0.0, large, 2.5] * 20), TableOptions())


def test_a_value_beyond_all_training_rows_is_refused_where_no_number_can_hold_it() -> None:
    target, values = pose("b", pd.Series([0.0, 1e-65, 2.5e-65] * 20 + [1.0]), TableOptions())
    with pytest.raises(RequestError, match="'b': 1 in row 61 is too far from the training rows"):
        target.fitted(values, ROWS[:60]).prepared(values)
