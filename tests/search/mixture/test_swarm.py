"""The design of a swarm: within bounds and caps, reproducible, space-filling, and able to go on."""

from __future__ import annotations

import numpy as np
import pytest

import fake_swarms as swarms
from scalarize.search import mixture
from scalarize.search.mixture import objective, outlook
from scalarize.search.mixture.fitting import fit_runs
from scalarize.search.mixture.swarm import design_mixtures, within
from scalarize.utils.errors import RequestError

SIZES = {"web": 1000.0, "code": 100.0, "books": 300.0, "math": 20.0}


def weights(columns):
    return np.array([columns[f"weight:{d}"] for d in SIZES]).T


def test_caps_hold_at_every_budget_and_the_prior_is_the_first_run():
    found = weights(mixture.design(SIZES, 60, budgets=[10.0, 400.0], repeats=4.0))
    assert found.shape == (60, 4)
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    caps = np.minimum(4.0 * np.array(list(SIZES.values())) / 400.0, 1.0)
    assert (found <= caps + 1e-9).all()
    assert (found >= 0).all()
    np.testing.assert_allclose(found[0], within(np.array(list(SIZES.values())), np.zeros(4), caps))


def test_wide_and_sparse_mixtures_are_there():
    found = weights(mixture.design(SIZES, 80))
    assert ((found == 0).sum(axis=1) >= 2).sum() >= 8
    assert (found.max(axis=1) > 0.9).any()
    assert found[:, 3].max() > 0.3  # the prior gives it 0.014


def test_the_same_seed_gives_the_same_swarm_and_more_runs_begin_alike():
    a, b = (weights(mixture.design(SIZES, 20, seed=3)) for _ in range(2))
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, weights(mixture.design(SIZES, 20, seed=4)))


def test_it_fills_the_space_better_than_random_draws():
    prior = np.full(4, 0.25)

    def least_distance(w):
        affinity = np.sqrt(w) @ np.sqrt(w).T
        np.fill_diagonal(affinity, 0.0)
        return np.sqrt(1.0 - affinity.max())

    chosen = design_mixtures(prior, 40)
    drawn = np.random.default_rng(0).dirichlet(np.full(4, 1.0), 40)
    assert least_distance(chosen) > 2 * least_distance(drawn)


def test_an_existing_swarm_is_extended_and_kept_away_from():
    first = mixture.design(SIZES, 20, seed=0)
    more = mixture.design(SIZES, 20, seed=0, extend=first)
    assert more["run"][0] == 20
    a, b = weights(first), weights(more)
    nearest = np.abs(b[:, None] - a[None]).sum(axis=2).min(axis=1)
    assert nearest.min() > 1e-3


def test_bounds_of_the_table_hold():
    table = {"domain": ["a", "b", "c"], "prior": [0.5, 0.3, 0.2], "low": [0.2, "", ""], "high": ["", 0.4, ""]}
    found = mixture.design(table, 30)
    assert min(found["weight:a"]) >= 0.2 - 1e-9
    assert max(found["weight:b"]) <= 0.4 + 1e-9
    assert len(mixture.design(table)["run"]) == 20  # 4 for each of a, b, c and two numbers more


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"domains": {"a": [1.0]}}, "needs a column 'domain'"),
        ({"domains": {"domain": ["a", "a"]}}, "'a' stands twice"),
        ({"domains": {"domain": ["a", "b"], "size": ["1M", "much"]}}, "column size: 'much'"),
        ({"runs": 0}, "at least 1 run"),
        ({"budgets": [1e9]}, "allow more repetition"),
        ({"prior": {"web": 1.0}}, "prior: no weight of code"),
        ({"sparse": 2.0}, "sparse: a share"),
        ({"temperature": -1.0}, "temperature must be above 0"),
    ],
)
def test_what_cannot_be_is_refused(words, message):
    with pytest.raises(RequestError, match=message):
        mixture.design(**{"domains": SIZES, "runs": 10, **words})


def test_outlook_tells_a_large_swarm_from_a_small_one():
    def look(n, noise):
        fitted = fit_runs(swarms.runs(n, noise=noise))
        return outlook.of_fit(fitted, objective.create("mean", fitted.metrics))

    good, bad = look(150, 0.002), look(16, 0.2)
    assert good.enough
    assert good.regret < 0.05
    assert not bad.enough
    assert bad.regret > good.regret
    assert bad.regret_double <= bad.regret
    assert bad.runs_for(0.01) >= 16


@pytest.mark.parametrize(
    ("regret", "half", "double", "said"),
    [
        (0.01, 0.1, 0.001, "large enough"),
        (0.4, 0.8, 0.2, "a regret of about 0.20"),
        (0.4, 0.3, 0.4, "no trend"),
        (0.4, float("nan"), 0.4, "too few runs to say"),
        (1.2, 0.4, 1.2, "no better than one of the runs at random"),
    ],
)
def test_the_verdict_on_a_swarm_claims_no_trend_that_was_not_seen(regret, half, double, said):
    assert said in outlook.Outlook(12, 6, regret, 2 * regret, half, double, regret <= outlook.ENOUGH).verdict
