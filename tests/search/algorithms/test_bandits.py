"""Algorithms that ask a Gaussian process: valid proposals, equal answers, honest credit, and better than chance."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import scalarize
from scalarize.search.algorithms import registry
from scalarize.search.algorithms.base import Generation, GenerationResult, Setting
from scalarize.search.algorithms.pb2 import observations
from scalarize.search.sampling import Spread
from scalarize.search.space import Range, Space
from scalarize.search.surrogates import gaussian_process
from scalarize.search.toy_problems import Stationary

SPACE = Space(("a", "b", "c"), groups=(("b", "c"),), also={"lr": Range(1e-4, 1e-2, log=True)})


def told(index, parent, weights, score, member=None):
    member = np.arange(len(score)) if member is None else np.array(member)
    generation = Generation(index, 3 * (index + 1), member, np.array(parent), np.array(weights, float))
    return GenerationResult(
        generation, np.tile(np.array(score, float)[:, None], (1, len(weights[0]))), np.array(score, float)
    )


def test_clone_is_not_credited_with_its_donors_gain():
    space = Space(("a", "b"))
    first = told(0, [-1, -1, -1], [[0.5, 0.5], [0.6, 0.4], [0.7, 0.3]], [1.0, 5.0, 2.0])
    # Member 0 continues from member 1: from 1 to 5.1 as the slot is seen, but only 0.1 of it is its own.
    second = told(1, [1, 1, 2], [[0.2, 0.8], [0.6, 0.4], [0.7, 0.3]], [5.1, 5.3, 3.3])
    inputs, gains = observations([first, second], space, memory=100)
    np.testing.assert_allclose(gains[3:], (np.array([0.1, 0.3, 1.3]) - 1.7 / 3) / np.std([0.1, 0.3, 1.3]))
    np.testing.assert_allclose(inputs[:, 2], [3, 3, 3, 6, 6, 6])
    assert inputs[3, 1] == inputs[4, 1] > inputs[5, 1]  # 0 and 1 began the round from the same score


def test_a_process_is_fitted_and_asked_in_one_thread(monkeypatch):
    seen = []
    fitted = gaussian_process.fitted
    monkeypatch.setattr(
        gaussian_process, "fitted", lambda *words: seen.append(torch.get_num_threads()) or fitted(*words)
    )
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        draw = np.random.default_rng(0)
        surrogate = gaussian_process.Surrogate(draw.normal(size=(8, 2)), draw.normal(size=8))
        surrogate.upper(draw.normal(size=(3, 2)), 1.0)
        assert (seen, torch.get_num_threads()) == ([1], 2)
    finally:
        torch.set_num_threads(before)


def test_without_any_gain_to_learn_from_clones_follow_their_donors():
    setting = Setting(SPACE, epochs=9, population=6, ready=3, seed=0)
    search = registry.create("pb2", setting)
    search.ask()
    search.tell(np.full((6, 3), np.nan), np.full(6, np.nan))
    second = search.ask()
    assert second.parent.tolist() == list(range(6))
    search.tell(np.zeros((6, 3)), np.arange(6.0))
    third = search.ask()
    assert third.parent.tolist()[3:] == [3, 4, 5]
    for row in range(6):
        donor = third.parent[row]
        assert third.weights[row].tolist() == second.weights[donor].tolist()
        assert third.extras["lr"][row] == second.extras["lr"][donor]
    assert (third.parent[:2] >= 4).all()


def test_results_without_a_finite_score_are_left_out():
    first = told(0, [-1, -1, -1], [[0.5, 0.5]] * 3, [1.0, np.nan, 2.0])
    second = told(1, [0, 1, 2], [[0.5, 0.5]] * 3, [2.0, 2.0, np.nan])
    inputs, gains = observations([first, second], Space(("a", "b")), memory=100)
    assert len(inputs) == len(gains) == 3
    assert np.isfinite(inputs).all()
    assert np.isfinite(gains).all()


def test_surrogate_interpolates_and_what_is_under_way_is_no_longer_uncertain():
    rng = np.random.default_rng(0)
    inputs = rng.uniform(size=(30, 2))
    surrogate = gaussian_process.Surrogate(inputs, 10 + np.sin(3 * inputs[:, 0]))
    new = rng.uniform(size=(20, 2))
    mean, _ = surrogate.predict(new)
    np.testing.assert_allclose(mean, 10 + np.sin(3 * new[:, 0]), atol=0.05)
    far = np.array([[3.0, 3.0]])
    before = surrogate.predict(far)
    surrogate.expect(far)
    after = surrogate.predict(far)
    assert after[0] == pytest.approx(before[0])
    assert after[1] < 0.5 * before[1]


@pytest.mark.parametrize("time", [True, False])
def test_the_process_is_botorchs(time):
    """Objective of the fit and posterior: what botorch computes for the same model, by its own way."""
    import torch
    from gpytorch.mlls import ExactMarginalLogLikelihood

    rng = np.random.default_rng(1)
    inputs = np.column_stack([rng.normal(size=(20, 3)), np.repeat([3.0, 6.0], 10)])
    values = inputs[:, 0] + 0.1 * rng.normal(size=20)
    surrogate = gaussian_process.Surrogate(inputs, values, time=time)
    new = rng.normal(size=(7, 4))
    x, y = surrogate._tensor(inputs), torch.as_tensor((values - values.mean()) / values.std())
    model = surrogate.model
    posterior = model.posterior(surrogate._tensor(new))
    mean, deviation = surrogate.predict(new)
    np.testing.assert_allclose(mean, values.mean() + values.std() * posterior.mean[:, 0].detach().numpy(), rtol=1e-6)
    np.testing.assert_allclose(deviation, values.std() * posterior.variance[:, 0].detach().sqrt().numpy(), rtol=1e-5)
    model.train()
    objective = ExactMarginalLogLikelihood(model.likelihood, model)(model(x), y)
    torch.testing.assert_close(gaussian_process.log_likelihood(model, x, y), objective)


def test_old_results_count_less_where_the_optimum_moves():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, size=(60, 1))
    epoch = np.repeat(np.arange(6.0), 10)[:, None]
    surrogate = gaussian_process.Surrogate(np.hstack([x, epoch]), -((x - epoch / 3 + 1) ** 2)[:, 0], time=True)
    grid = np.linspace(-1, 1, 41)[:, None]
    mean, _ = surrogate.predict(np.hstack([grid, np.full_like(grid, 5.0)]))
    assert grid[mean.argmax(), 0] == pytest.approx(2 / 3, abs=0.15)


def test_best_of_finds_the_maximum_and_keeps_floor_groups_and_ranges():
    target = gaussian_process.coordinates(SPACE, np.array([[0.2, 0.4, 0.4]]), {"lr": np.array([3e-3])})
    known = (np.full((1, 3), 1 / 3), {"lr": np.array([1e-3])})

    def bound(points):
        return -((points - target) ** 2).sum(axis=1)

    weights, extras = gaussian_process.best_of(SPACE, Spread(), bound, np.random.default_rng(0), known)
    np.testing.assert_allclose(weights, [0.2, 0.4, 0.4], atol=0.02)
    assert extras["lr"] == pytest.approx([3e-3], rel=0.2)
    weights, extras = gaussian_process.best_of(
        SPACE, Spread(), lambda p: p.sum(axis=1) * 1e3, np.random.default_rng(0), known
    )
    assert weights.min() >= 0.01 / 3 - 1e-12
    assert weights[1] == weights[2]
    assert 1e-4 <= extras["lr"][0] <= 1e-2


@pytest.mark.parametrize("name", ["pb2", "bo"])
def test_equal_searches_decide_equally_and_validly(name):
    def generations():
        algorithm = registry.create(name, Setting(SPACE, epochs=6, population=6, ready=3, seed=4))
        rng = np.random.default_rng(0)
        asked = []
        while (generation := algorithm.ask()) is not None:
            asked.append(generation)
            metrics = rng.standard_normal((generation.size, 3))
            metrics[0] = np.nan
            algorithm.tell(metrics, metrics.mean(axis=1))
        return asked, algorithm

    (first, algorithm), (second, _) = generations(), generations()
    assert len(first) == (2 if name == "pb2" else 3)
    for one, other in zip(first, second, strict=True):
        assert one.weights.tobytes() == other.weights.tobytes()
        assert one.extras["lr"].tobytes() == other.extras["lr"].tobytes()
        np.testing.assert_allclose(one.weights.sum(axis=1), 1)
        assert ((one.extras["lr"] >= 1e-4) & (one.extras["lr"] <= 1e-2)).all()
    assert sum(g.size for g in first) * (3 if name == "pb2" else 6) == algorithm.total_epochs


def test_fixed_inputs_and_failed_scores_do_not_stop_a_search():
    for name in ("pb2", "bo"):
        algorithm = registry.create(name, Setting(Space(("a", "b")), epochs=6, population=4, ready=3))
        while (generation := algorithm.ask()) is not None:
            algorithm.tell(np.full((generation.size, 2), np.nan), np.full(generation.size, np.nan))
        constant = registry.create(name, Setting(Space(("a", "b")), epochs=6, population=4, ready=3))
        while (generation := constant.ask()) is not None:
            constant.tell(np.ones((generation.size, 2)), np.ones(generation.size))
        for done in (algorithm, constant):
            weights = np.concatenate([told.generation.weights for told in done.history])
            assert len(weights) >= 4
            np.testing.assert_allclose(weights.sum(axis=1), 1.0)


def test_both_find_better_weights_than_random_search_on_the_stationary_problem():
    def value(name, seed):
        result = scalarize.search(Stationary, epochs=12, population=12, algorithm=name, seed=seed)
        return Stationary(0).value(result.policy)

    values = {name: np.mean([value(name, seed) for seed in range(3)]) for name in ("random", "pb2", "bo")}
    assert values["pb2"] > values["random"]
    assert values["bo"] > values["random"]
