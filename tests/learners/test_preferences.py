"""Trainings with a preference drawn in each step."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from scalarize import methods
from scalarize.learners.recipe import OptimizerRecipe, Recipe
from scalarize.learners.supervised import SupervisedLearner
from scalarize.tasks.kinds import regression
from scalarize.tasks.samples import TensorTable
from scalarize.tasks.task import Data, Domain
from scalarize.utils.errors import RequestError
from scalarize.workloads.models.fronts import settings
from scalarize.workloads.models.fronts.build import condition
from scalarize.workloads.models.multihead import MultiHead

RECIPE = Recipe(optimizer=OptimizerRecipe(name="adam", lr=0.01), epochs=6, batch_size=32)


def data(n: int = 512) -> Data:
    """Two targets, two inputs: a single linear unit can hold one of them."""
    g = torch.Generator().manual_seed(0)
    x = torch.randn(n, 4, generator=g)
    targets = {"a": x[:, 0], "b": x[:, 1]}
    parts = {
        s: TensorTable(x[k::2], {t: v[k::2] for t, v in targets.items()}) for k, s in enumerate(("train", "validation"))
    }
    return Data.multi_task([regression("a"), regression("b")], Domain("all", parts))


def narrow() -> MultiHead:
    return MultiHead(nn.Linear(4, 1), {"a": nn.Linear(1, 1), "b": nn.Linear(1, 1)})


def learner(name: str, seed: int = 0, recipe: Recipe = RECIPE) -> SupervisedLearner:
    own = settings.OPTIONS[name] | {"front": name}
    return SupervisedLearner(data(), lambda: condition(narrow(), own, 2), recipe, seed)


@pytest.mark.parametrize("name", settings.OPTIONS)
def test_each_task_is_best_at_its_own_corner(name: str) -> None:
    recipe = RECIPE.override({"epochs": 15, "optimizer.lr": 0.03})
    made = learner(name, recipe=recipe)
    made.train(methods.create("uniform"), 15)
    losses = {}
    for corner, preference in (("a", [1.0, 0.0]), ("b", [0.0, 1.0])):
        made.model.choose(preference)
        losses[corner] = {t: v["loss"] for t, v in made.measure("validation").items()}
    assert losses["a"]["a"] < 0.6 * losses["b"]["a"]
    assert losses["b"]["b"] < 0.6 * losses["a"]["b"]


@pytest.mark.parametrize("method", ["uniform", "unitary", "epo", "stch", "cosmos", "pbi", "upgrad"])
def test_the_method_is_given_what_was_drawn(method: str) -> None:
    made = learner("palora")
    seen: list[tuple[list[float], list[float]]] = []

    class Look:
        def look(self, losses: Any, shared: Any) -> None:
            state = made.balancer.method.state  # type: ignore[union-attr]
            key = "weights" if method in ("uniform", "unitary") else "preference"
            seen.append((state[key].tolist(), made.model.preference.tolist()))

        def rows(self, step: int, epoch: int) -> list[Any]:
            return []

    made.probes.append(Look())  # type: ignore[arg-type]
    made.train(methods.create(method), 1)
    told, used = np.array([t for t, _ in seen]), np.array([u for _, u in seen])
    np.testing.assert_allclose(told, used, atol=1e-6)
    assert len(np.unique(told.round(6), axis=0)) == len(seen)
    assert made.model.preference.tolist() == [0.5, 0.5]  # at rest


def test_the_draws_are_those_of_the_seed_and_go_on() -> None:
    whole, parts = learner("phn"), learner("phn")
    whole.train(methods.create("uniform"), 3)
    parts.train(methods.create("uniform"), 1)
    state = copy.deepcopy(parts.state_dict())
    again = learner("phn")
    again.load_state_dict(state)
    again.train(methods.create("uniform"), 3)
    mine, other = whole.model.state_dict(), again.model.state_dict()
    assert all(torch.equal(mine[key], other[key]) for key in mine)
    different = learner("phn", seed=1)
    different.load_state_dict(state)
    different.train(methods.create("uniform"), 3)
    assert any(not torch.equal(mine[k], v) for k, v in different.model.state_dict().items())


def test_draws_spread_as_the_concentration_says() -> None:
    spread = {}
    for concentration in (0.2, 1.0, 20.0):
        made = learner("palora")
        made.model.concentration = concentration
        made.use(methods.create("uniform"))
        assert made.preferences is not None
        drawn = []
        for _ in range(400):
            made.preferences.draw()
            drawn.append(float(made.model.preference[0]))
        assert np.mean(drawn) == pytest.approx(0.5, abs=0.06)
        spread[concentration] = np.var(drawn)
        # Of a Dirichlet distribution with both parameters c: 1 / (4 (2 c + 1)).
        assert np.var(drawn) == pytest.approx(1 / (4 * (2 * concentration + 1)), rel=0.2)


@pytest.mark.parametrize("method", ["mgda", "rlw", "fixed", "famo"])
def test_methods_without_a_preference_are_refused(method: str) -> None:
    with pytest.raises(RequestError, match="does not take"):
        learner("palora").use(methods.create(method))


def test_a_given_preference_is_refused() -> None:
    with pytest.raises(RequestError, match="leave out preference"):
        learner("palora").use(methods.create("epo", preference=[1.0, 2.0]))


def test_an_ordinary_model_has_no_draws() -> None:
    made = SupervisedLearner(data(), narrow, RECIPE)
    made.use(methods.create("uniform"))
    assert made.preferences is None
