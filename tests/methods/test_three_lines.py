"""The three lines of the plain example give, for every method, the training that the package's own learner gives."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import scalarize
from scalarize import methods
from scalarize.learners.recipe import OptimizerRecipe, Recipe
from scalarize.learners.supervised import SupervisedLearner
from scalarize.tasks.kinds import binary, regression
from scalarize.tasks.samples import TensorTable
from scalarize.tasks.task import Data, Domain
from scalarize.utils.errors import RequestError
from scalarize.workloads.models.multihead import MultiHead

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "plain_loop.py"
REFUSED = {"policy": "needs policy=", "rotograd": "level='representation'"}
RATE = 0.01  # of the example's optimiser
STEPS = 12


@pytest.fixture(autouse=True)
def double_precision() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def by_the_learner(name: str, example: dict[str, Any]) -> dict[str, list[float]]:
    """Losses at every step of the package's learner: an epoch is one batch of all samples, in another order."""
    x, target, encoder, heads = example["problem"]()
    table = TensorTable(x, {task: y.reshape(-1) for task, y in target.items()})
    data = Data.multi_task([regression("slope"), binary("side")], Domain("all", dict.fromkeys(("train",), table)))
    recipe = Recipe(optimizer=OptimizerRecipe(name="adam", lr=RATE), epochs=STEPS, batch_size=len(x))
    course: dict[str, list[float]] = {task: [] for task in target}

    def keep(rows: list[dict[str, Any]]) -> None:
        for row in rows:
            if row["split"] == "train" and row["metric"] == "loss":
                course[row["task"]].append(row["value"])

    build = lambda: MultiHead(encoder, dict(heads.items()))  # noqa: E731
    learner = SupervisedLearner(data, build, recipe, precision="float64", on_rows=keep)
    learner.train(methods.create(name), STEPS)
    return course


@pytest.mark.parametrize("name", [n for n in methods.names() if n not in REFUSED])
def test_the_plain_loop_trains_as_the_learner_does(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    example = runpy.run_path(str(EXAMPLE))
    # The learner draws anew in each epoch; here both go on with the draws of seed 0.
    monkeypatch.setattr(scalarize.Balancer, "reseed", lambda balancer, seed: None)
    options = {"learned_rate": RATE} if methods.get(name).learned else {}
    plain = example["train"](name, STEPS, **options)
    wanted = by_the_learner(name, example)
    for task, course in plain.items():
        assert course == pytest.approx(wanted[task], rel=1e-7)


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_three_lines_cannot_do_is_refused_at_once(name: str) -> None:
    with pytest.raises(RequestError, match=REFUSED[name]):
        runpy.run_path(str(EXAMPLE))["train"](name, 1)


@pytest.mark.parametrize("name", [n for n in methods.names() if methods.get(n).learned])
def test_a_learned_method_is_not_the_plain_sum(name: str) -> None:
    train = runpy.run_path(str(EXAMPLE))["train"]
    fast, slow = train(name, 40, learned_rate=0.1), train(name, 40, learned_rate=1e-12)
    assert max(abs(a - b) for t in fast for a, b in zip(fast[t], slow[t], strict=True)) > 1e-3


def test_dwa_acts_in_the_three_lines() -> None:
    train = runpy.run_path(str(EXAMPLE))["train"]
    assert train("dwa", 12) != train("unitary", 12)
