"""Regression as a search: its budget, its proposals, and the score that it is judged by."""

from __future__ import annotations

import numpy as np
import pytest

import scalarize
from scalarize.search.algorithms import registry
from scalarize.search.algorithms.base import Setting
from scalarize.search.space import Range, Space
from scalarize.search.toy_problems import Stationary
from scalarize.utils.errors import RequestError


def create(population=12, **changes):
    space = changes.pop("space", Space(("a", "b", "c")))
    return registry.create(
        "regression", Setting(space, **{"epochs": 12, "population": population, "ready": 3, **changes})
    )


@pytest.mark.parametrize(("population", "ready", "epochs"), [(12, 3, 12), (4, 3, 12), (7, 5, 8), (6, 20, 5)])
def test_budget_is_that_of_n_full_trainings(population, ready, epochs):
    algorithm = create(population, ready=ready, epochs=epochs)
    spent = 0
    while (generation := algorithm.ask()) is not None:
        spent += generation.size * generation.until_epoch
        np.testing.assert_allclose(generation.weights.sum(axis=1), 1)
        algorithm.tell(-np.abs(generation.weights - 0.3), -np.abs(generation.weights - 0.3).mean(axis=1))
    assert population * epochs - ready < spent == algorithm.total_epochs <= population * epochs


def test_proposal_follows_the_score_that_the_search_is_judged_by():
    def proposed(judge):
        algorithm = create()
        algorithm.judge = judge
        weights = algorithm.ask().weights
        metrics = np.log(weights) * [1.0, 2.0, 4.0]
        algorithm.tell(metrics, judge(metrics))
        return algorithm.ask().weights[0]

    average = proposed(lambda m: m.mean(axis=1))
    only_a = proposed(lambda m: m[:, 0])
    np.testing.assert_allclose(average, np.array([1, 2, 4]) / 7, atol=0.1)
    assert only_a[0] > 0.5


def test_groups_share_and_floor_holds():
    space = Space(("a", "b", "c"), groups=(("b", "c"),))
    algorithm = create(space=space)
    weights = algorithm.ask().weights
    algorithm.tell(weights, weights[:, 0])
    final = algorithm.ask().weights
    np.testing.assert_allclose(final[:, 1], final[:, 2])
    assert final.min() >= 0.01 / 3 - 1e-12


def test_failed_trainings_are_left_out_and_nothing_learned_is_no_end():
    algorithm = create()
    weights = algorithm.ask().weights
    metrics = np.log(weights)
    metrics[::3] = np.nan
    algorithm.tell(metrics, metrics.mean(axis=1))
    np.testing.assert_allclose(algorithm.ask().weights[0], 1 / 3, atol=0.05)
    lost = create()
    lost.tell(np.full(lost.ask().weights.shape, np.nan), np.full(lost.ask().size, np.nan))
    assert lost.ask().weights.shape == (3, 3)
    assert lost.notes(lost.history) == ()


def test_what_it_cannot_search_is_refused():
    with pytest.raises(RequestError, match="weights alone, not lr"):
        create(space=Space(("a", "b"), also={"lr": Range(0.1, 1)}))
    with pytest.raises(RequestError, match="at least 4 trainings, got 2"):
        create(population=2)


def test_search_beats_random_search_on_the_stationary_problem_and_reports_doubts():
    def run(name):
        return scalarize.search(Stationary, epochs=12, population=12, algorithm=name, seed=0)

    found, chance = run("regression"), run("random")
    assert Stationary(0).value(found.policy) > Stationary(0).value(chance.policy) + 0.05
    assert found.trainings == pytest.approx(12)
    doubted = scalarize.search(scalarize.search.toy_problems.Noisy, epochs=12, population=4, algorithm="regression")
    assert doubted.to_dict()["warnings"] == list(doubted.warnings) != []
