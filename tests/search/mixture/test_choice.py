"""The choice: exact where it claims to be, within every constraint, and honest about what it does not know."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

import fake_swarms as swarms
from scalarize.search import mixture
from scalarize.search.mixture import constraints, intervals, objective, solve, texts
from scalarize.search.mixture.choice import choose_mixture, feasible_start
from scalarize.search.mixture.doubts import build_problem
from scalarize.search.mixture.fitting import fit_runs
from scalarize.utils.errors import RequestError
from scalarize.weights import simplex

FIT = fit_runs(swarms.runs(80))
PRIOR = dict(zip(swarms.DOMAINS, (0.4, 0.2, 0.3, 0.1), strict=True))
GRID = np.array(simplex.grid(4, 50))
CASES = {
    "free": {},
    "bounds": {"low": {"web": 0.3}, "high": {"code": 0.2}},
    "fixed": {"fixed": {"books": 0.3}},
    "caps": {"sizes": {"web": 10.0, "code": 1.0, "books": 5.0, "math": 0.5}, "budget": 10.0, "repeats": 2.0},
    "kl": {"kl": 0.02},
    "tv": {"tv": 0.1},
    "groups": {"groups": {"web+math": (0.5, 0.6)}},
    "all": {"kl": 0.1, "tv": 0.2, "groups": {"web+books": (0.55, 1.0)}, "high": {"code": 0.5}},
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("score", ["mean", "worst", "web_loss=3,code_loss=1"])
def test_nothing_on_a_grid_is_better_and_the_certificate_says_so(name, score):
    choice = mixture.choose(FIT, score, prior=PRIOR, beyond=True, **CASES[name])
    keep = constraints.create(swarms.DOMAINS, np.array(list(PRIOR.values())), **CASES[name])
    goal = objective.create(score, FIT.metrics)
    assert keep.violation(choice.weights) < 1e-6
    feasible = GRID[[keep.violation(w) <= 1e-9 for w in GRID]]
    if len(feasible):
        assert choice.score.value <= goal(FIT.predict(feasible)).min() + 1e-6
    assert choice.solver["convex"]
    assert 0 <= choice.solver["gap"] < 1e-4
    assert choice.score.low <= choice.score.value <= choice.score.high


@pytest.mark.parametrize("name", ["free", "kl", "tv", "all"])
def test_the_certificate_of_a_worse_mixture_is_no_smaller_than_what_it_misses(name):
    prior = np.array(list(PRIOR.values()))
    goal = objective.create("mean", FIT.metrics)
    keep = constraints.create(swarms.DOMAINS, prior, **CASES[name])
    best = choose_mixture(FIT, goal, keep)
    problem = build_problem(FIT, goal, np.full(2, np.inf), keep, None)
    start = feasible_start(keep)
    told = solve.certify(problem, solve.Solution(start, problem.score(start), 0.0))
    assert told.gap >= problem.score(start) - best.score.value - 1e-9
    assert told.gap > 10 * best.solver["gap"]


def test_target_with_others_kept():
    free = mixture.choose(FIT, target="code_loss", prior=PRIOR, beyond=True)
    kept = mixture.choose(FIT, target="code_loss", keep=0.02, prior=PRIOR, beyond=True)
    web = {m.name: m.gain for m in kept.metrics}["web_loss"]
    assert web >= -0.02 - 1e-6
    assert {m.name: m.gain for m in free.metrics}["web_loss"] < -0.05
    assert (
        free.score.value
        < kept.score.value
        < objective.create("mean", FIT.metrics, "code_loss")(FIT.predict(np.array([list(PRIOR.values())])))
    )
    assert kept.solver["gap"] < 1e-4


def test_a_law_that_is_not_convex_is_searched_from_many_starts():
    runs = swarms.runs(80)
    fitted = fit_runs(runs, ["ridge"])
    choice = mixture.choose(fitted, prior=PRIOR)
    assert not choice.solver["convex"]
    assert choice.solver["starts"] > 10
    assert "gap" not in choice.solver
    goal = objective.create("mean", fitted.metrics)
    low, high = runs.weights.min(axis=0), runs.weights.max(axis=0)
    inside = GRID[((low <= GRID) & (high >= GRID)).all(axis=1)]
    assert choice.score.value <= goal(fitted.predict(inside)).min() + 1e-3


def test_weights_stay_within_what_runs_covered_unless_asked():
    runs = swarms.runs(200)
    narrow = runs.take((runs.weights < 0.6).all(axis=1))
    fitted = fit_runs(narrow)
    inside = mixture.choose(fitted, target="code_loss")
    outside = mixture.choose(fitted, target="code_loss", beyond=True)
    assert inside.weights.max() <= narrow.weights.max() + 1e-9
    assert outside.weights.max() > narrow.weights.max() + 0.05
    assert any("no run gave" in w for w in outside.warnings)
    assert not any("no run gave" in w for w in inside.warnings)


def test_gain_is_not_distinguishable_from_noise_and_says_how_many_runs_decide():
    noisy = fit_runs(swarms.runs(60, noise=0.4))
    near = mixture.choose(noisy, prior=dict(zip(swarms.DOMAINS, mixture.choose(noisy).weights + 1e-3, strict=True)))
    assert not near.distinguishable
    clear = mixture.choose(FIT, prior={"web": 0.97, "code": 0.01, "books": 0.01, "math": 0.01})
    assert clear.distinguishable
    assert clear.gain.low > 0
    assert clear.repeats_to_decide is None
    assert clear.next_runs[0][0].startswith("the choice itself")


def test_a_next_run_names_its_mixture():
    chosen = replace(
        mixture.choose(FIT), next_runs=(("a", GRID[0]), ("b", GRID[0]), ("why", np.array([0.4, 0.1, 0.3, 0.2])))
    )
    assert "next run: web 0.400, books 0.300, math 0.200, code 0.100 (why)" in texts.choice_lines(chosen)


def test_accuracies_come_back_in_their_own_units():
    columns = swarms.table(60)
    columns["metric:acc"] = [3.0 - x for x in columns.pop("metric-:web_loss")]
    fitted = mixture.fit(columns)
    choice = mixture.choose(fitted, target="acc")
    told = next(m for m in choice.metrics if m.name == "acc")
    assert 0 < told.predicted.low <= told.predicted.value <= told.predicted.high < 3
    assert told.predicted.value > told.prior
    assert told.gain > 0


def test_candidates_are_scored_all():
    field = swarms.mixtures(40, 5)
    columns = {f"weight:{d}": field[:, i].tolist() for i, d in enumerate(swarms.DOMAINS)}
    choice = mixture.choose(FIT, candidates=columns)
    best = int(FIT.predict(field).mean(axis=1).argmin())
    assert choice.solver["candidate"] == best
    np.testing.assert_allclose(choice.weights, field[best])
    with pytest.raises(RequestError, match="none of the 40 candidates"):
        mixture.choose(FIT, candidates=columns, high={"web": 0.0})


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"low": {"webb": 0.1}}, "did you mean 'web'"),
        ({"low": {"web": 0.7, "code": 0.6}}, "least weights sum to 1.3"),
        ({"high": dict.fromkeys(swarms.DOMAINS, 0.2)}, "greatest weights sum to 0.8"),
        ({"low": {"web": 0.5}, "high": {"web": 0.2}}, "least weight 0.5 is above its greatest"),
        ({"fixed": {"web": 1.2}}, r"lies in \[0, 1\]"),
        ({"sizes": {"web": 1.0, "code": 1.0, "books": 1.0}, "budget": 1.0}, "no size of math"),
        ({"sizes": dict.fromkeys(swarms.DOMAINS, 1.0)}, "need a budget"),
        ({"budget": 3.0}, "need sizes"),
        ({"sizes": dict.fromkeys(swarms.DOMAINS, 1.0), "budget": 100.0}, "allow more repetition"),
        ({"kl": -1.0}, "kl must be at least 0"),
        ({"tv": 2.0}, "tv must be at least 0 and at most 1"),
        ({"groups": {"web+code": (0.9, 1.0), "code+books": (0.9, 1.0), "books+math": (0.9, 1.0)}}, "no mixture keeps"),
        ({"tv": 0.1, "low": {"math": 0.9}}, "as near to the prior as tv 0.1"),
        ({"kl": 0.01, "low": {"math": 0.9}}, "no mixture keeps all constraints"),
        ({"target": "code"}, "did you mean 'code_loss'"),
        ({"score": "web_loss=-1"}, "weights must be finite, >= 0"),
        ({"score": "best"}, "unknown score 'best'"),
        ({"keep": 0.1}, "keep holds metrics"),
        ({"prior": {"web": 1.0}}, "prior: no weight of code"),
        ({"size": 1e9}, "one size only"),
        ({"temperature": 0.0}, "temperature must be above 0"),
    ],
)
def test_what_cannot_be_is_refused_by_name(words, message):
    with pytest.raises(RequestError, match=message):
        mixture.choose(FIT, beyond=True, **{"prior": PRIOR, **words})


def test_a_constant_metric_cannot_be_chosen_by():
    columns = swarms.table(30)
    columns["metric-:flat"] = [2.0] * 30
    with pytest.raises(RequestError, match="the same in every run"):
        mixture.choose(mixture.fit(columns), target="flat")
    assert mixture.choose(mixture.fit(columns)).gain.value > 0


def test_the_choice_does_not_depend_on_the_order_of_domains():
    runs = swarms.runs(80)
    for order in itertools.islice(itertools.permutations(range(4)), 1, 24, 9):
        names = tuple(swarms.DOMAINS[i] for i in order)
        moved = replace(runs, domains=names, weights=runs.weights[:, order])
        again = mixture.choose(fit_runs(moved), prior=PRIOR)
        here = dict(zip(again.domains, again.weights, strict=True))
        there = mixture.choose(FIT, prior=PRIOR)
        for d, w in zip(there.domains, there.weights, strict=True):
            assert here[d] == pytest.approx(w, abs=5e-3)


def test_cv_plus_by_hand():
    by_fold = np.array([[1.0], [2.0]])
    folds, sizes = np.array([0, 0, 0, 0, 0, 1, 1, 1, 1, 1]), np.full(10, 0.5)
    low, high = intervals._cv_plus(by_fold, folds, sizes, np.array([2.0]), 0.9)
    assert (low[0], high[0]) == (0.0, 3.0)  # 1 - 0.5 x 2 and 2 + 0.5 x 2


def test_choose_mixture_keeps_a_start_outside_the_bounds():
    keep = constraints.create(swarms.DOMAINS, np.array([1.0, 0.0, 0.0, 0.0]), high={"web": 0.2})
    choice = choose_mixture(FIT, objective.create("mean", FIT.metrics), keep)
    assert choice.weights[0] <= 0.2 + 1e-9
