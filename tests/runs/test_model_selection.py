"""Early stopping: by the average, by each metric on its own, by the gain over single-task models, or not at all."""

from __future__ import annotations

import math
from typing import Any

import pytest

from scalarize.runs import model_selection
from scalarize.runs.model_selection import Selection
from scalarize.tasks import metrics
from scalarize.tasks.kinds import multiclass
from scalarize.tasks.samples import TensorTable
from scalarize.tasks.task import Data, Domain, Measure, Task
from scalarize.utils.errors import RequestError

DEPTH = Task(
    "depth",
    1,
    lambda p, t: p.mean(),
    metrics.DepthError,
    "abs",
    higher_is_better=False,
    extra_metrics=(Measure("rel", lambda: metrics.DepthError(relative=True), higher_is_better=False),),
)


def data() -> Data:
    import torch

    table = TensorTable(torch.zeros(1), {})
    return Data.multi_task([multiclass("seg", 3), DEPTH], Domain("d", {"train": table}))


def seen(accuracy: float, absolute: float, relative: float) -> dict[str, dict[str, float]]:
    return {
        "seg": {"metric": accuracy, "score": accuracy, "loss": 1 - accuracy},
        "depth": {"metric": absolute, "score": -absolute, "rel": relative, "loss": absolute},
    }


EPOCHS = [seen(0.5, 0.4, 3.0), seen(0.7, 0.5, 2.0), seen(0.6, 0.1, 4.0)]


def run(kind: str, baselines: dict[str, float] | None = None) -> Selection:
    chosen = Selection(model_selection.criteria(kind, data(), baselines), kind == "last")
    for epoch, found in enumerate(EPOCHS, start=1):
        state: dict[str, Any] = {"epoch": epoch, "model": {"w": epoch}, "position": {}, "optimizer": "large"}
        chosen.offer(found, state)
    return chosen


def test_the_best_average_counts_lower_errors_as_better() -> None:
    chosen = run("best")
    assert chosen.epochs() == {"average": 3}
    assert chosen.state_of("seg/accuracy")["model"] == {"w": 3}
    assert "optimizer" not in chosen.state_of("average")


def test_each_metric_has_its_own_epoch() -> None:
    chosen = run("per-metric")
    wanted = {"average": 3, "seg/accuracy": 2, "seg/loss": 2, "depth/abs": 3, "depth/rel": 2, "depth/loss": 3}
    assert chosen.epochs() == wanted
    assert chosen.primary == "average"


def test_delta_m_is_the_mean_relative_gain() -> None:
    baselines = {"seg/accuracy": 0.5, "depth/abs": 0.5, "depth/rel": 2.0}
    gain = model_selection.delta(EPOCHS[0], data(), baselines)
    assert gain == pytest.approx((0.0 + 0.2 - 0.5) / 3)
    assert run("delta", baselines).epochs() == {"delta": 2}  # gains -0.1, 0.13, 0


@pytest.mark.parametrize("baselines", [None, {"seg/accuracy": 0.0}, {"seg/miou": 0.5}])
def test_delta_m_without_a_baseline_to_gain_on_is_refused(baselines: dict[str, float] | None) -> None:
    with pytest.raises(RequestError, match="selection=delta"):
        run("delta", baselines)


def test_last_is_the_last_whatever_was_seen() -> None:
    assert run("last").epochs() == {"average": 3}
    chosen = Selection(model_selection.criteria("best", data(), None))
    for epoch in (1, 2):  # without a validation split there is nothing to select by
        chosen.offer(None, {"epoch": epoch, "model": {}, "position": {}})
    assert chosen.epochs() == {"average": 2}


def test_a_score_that_is_no_number_is_left_behind() -> None:
    chosen = Selection(model_selection.criteria("best", data(), None))
    for epoch, value in enumerate((math.nan, 0.2, math.nan), start=1):
        chosen.offer(seen(value, 0.1, 1.0), {"epoch": epoch, "model": {}, "position": {}})
    assert chosen.epochs() == {"average": 2}
    again = Selection(chosen.criteria)
    again.load_state_dict(chosen.state_dict())
    assert again.epochs() == chosen.epochs()
