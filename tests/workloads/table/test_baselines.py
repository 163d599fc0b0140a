"""Baselines of a table: predictions in the tasks' own shape, fitted to the rows that have labels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scalarize.learners.evaluation import measure
from scalarize.tasks.kinds import binary, count, multiclass, ordinal, regression
from scalarize.tasks.samples import TensorTable
from scalarize.tasks.task import Data, Domain
from scalarize.utils.errors import RequestError
from scalarize.workloads.table import baselines

LINKS = {
    "line": "identity",
    "step": "identity",
    "visits": "exp",
    "sold": "sigmoid",
    "kind": "softmax",
    "stars": "sigmoid",
}


def table(rows: int = 400, labelled: dict[str, torch.Tensor] | None = None) -> Data:
    generator = torch.Generator().manual_seed(0)
    numbers = torch.randn(rows, 2, generator=generator)
    category = torch.randint(1, 4, (rows,), generator=generator)
    effect = torch.tensor([0.0, -2.0, 0.0, 2.0])[category]
    targets = {
        "line": numbers[:, 0] + effect,
        "step": (numbers[:, 1] > 0.3).float() * 4 - 2,
        "visits": torch.poisson((0.5 * numbers[:, 0] + 0.5).exp(), generator=generator),
        "sold": (numbers[:, 0] + effect > 0).float(),
        "kind": category - 1,
        "stars": (numbers[:, 0] > -0.5).long() + (numbers[:, 0] > 0.5),
    }
    tasks = [regression("line"), regression("step"), count("visits"), binary("sold"), multiclass("kind", 3)]
    inputs = torch.cat([numbers, category.float().reshape(-1, 1)], dim=1)
    whole = TensorTable(inputs, targets, labelled=labelled)
    splits = {"train": whole.select(torch.arange(rows // 2)), "test": whole.select(torch.arange(rows // 2, rows))}
    info = {"numbers": 2, "categories": [4], "links": LINKS}
    return Data.multi_task([*tasks, ordinal("stars", 3)], Domain("table", splits), **info)


@pytest.fixture(scope="module")
def measured() -> dict[str, dict[str, dict[str, float]]]:
    data = table()
    return {
        name: measure(baselines.Baseline(name, data), data, "test", 64, torch.device("cpu")) for name in baselines.NAMES
    }


def test_each_is_good_at_what_it_is_made_for(measured: dict[str, dict[str, dict[str, float]]]) -> None:
    scores = {name: {t: m["metric"] for t, m in found.items()} for name, found in measured.items()}
    assert scores["linear"]["line"] > 0.999
    assert scores["boosting"]["step"] > 0.92
    assert measured["linear"]["step"]["loss"] > 2 * measured["boosting"]["step"]["loss"]
    assert scores["linear"]["kind"] == scores["boosting"]["kind"] == 1.0  # the category is read as one
    assert min(scores["linear"]["sold"], scores["boosting"]["sold"]) > 0.98
    assert min(scores["linear"]["stars"], scores["boosting"]["stars"]) > 0.85
    assert scores["linear"]["visits"] > 0.6
    assert scores["constant"] == pytest.approx(
        {
            "line": 0.5,
            "step": 0.5,
            "visits": 0.5,
            "sold": 0.5,
            "kind": scores["constant"]["kind"],
            "stars": scores["constant"]["stars"],
        }
    )
    assert scores["constant"]["kind"] < 0.5


def test_the_constant_predictor_has_the_constant_loss(measured: dict[str, dict[str, dict[str, float]]]) -> None:
    expected = table().constant_losses("test")
    for task, found in measured["constant"].items():
        assert found["loss"] == pytest.approx(expected[task], rel=0.05), task


def test_rows_without_a_label_are_not_fitted() -> None:
    mask = torch.arange(400) % 2 == 0
    data = table(labelled={"line": mask})
    train = data.domains["table"].splits["train"]
    assert isinstance(train, TensorTable)
    train.targets["line"][~mask[:200]] = 1e6
    inputs, target = baselines.training_rows(data, "line")
    assert (len(inputs), float(target.max()) < 100) == (100, True)
    prediction = baselines.Baseline("constant", data).decode(inputs, ["line"])["line"]
    assert float(prediction.abs().max()) < 1


def test_a_class_that_no_training_row_has_gets_the_smallest_logit() -> None:
    rows = torch.arange(20.0).reshape(-1, 1)
    predict = baselines.fit("linear", rows, [], (rows[:, 0] > 9).long() * 2, "softmax", 4)
    logits = predict(rows)
    assert logits.shape == (20, 4)
    assert logits.argmax(1).tolist() == [0] * 10 + [2] * 10
    assert torch.equal(logits[:, 1], logits[:, 3])
    assert float(logits[:, 1].max()) < -20


def test_one_class_alone_is_constant() -> None:
    rows = torch.arange(20.0).reshape(-1, 1)
    for name in baselines.NAMES:
        logits = baselines.fit(name, rows, [], torch.ones(20), "sigmoid", 1)(rows)
        assert logits.shape == (20, 1)
        assert (logits > 20).all()


def test_large_and_unseen_categories() -> None:
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(1, 300, (3000, 1), generator=generator).float()
    target = (codes[:, 0] > 150).float() + 0.1 * torch.randn(3000, generator=generator)
    for name in ("linear", "boosting"):
        predict = baselines.fit(name, codes, [300], target, "identity", 1)
        assert predict(torch.tensor([[0.0], [299.0]])).isfinite().all()
        assert float((predict(codes)[:, 0] - target).square().mean()) < 0.05


def test_only_the_most_frequent_codes_become_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "CODES", 2)
    rows = np.array([[0.5, 1], [0.5, 1], [0.5, 2], [0.5, 2], [0.5, 2], [0.5, 3]])
    assert baselines.one_hot(rows, [4])(rows[[0, 2, 5]]).tolist() == [[0.5, 0, 1], [0.5, 1, 0], [0.5, 0, 0]]


def test_large_tables_are_thinned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "ROWS", 50)
    assert len(baselines.training_rows(table(), "line")[0]) == 50


def test_an_unknown_baseline_is_refused_by_name() -> None:
    with pytest.raises(RequestError, match="did you mean 'linear'"):
        baselines.fit("linaer", torch.zeros(3, 1), [], torch.zeros(3), "identity", 1)
