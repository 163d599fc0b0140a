"""Trees: LightGBM fits them, numpy reads them, and the choice by them is a simulation within every constraint."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

import fake_swarms as swarms
from scalarize.search import mixture
from scalarize.search.mixture import constraints, simulate
from scalarize.search.mixture.fitting import fit_runs
from scalarize.search.mixture.forms import registry
from scalarize.search.mixture.forms.base import Sample
from scalarize.search.mixture.forms.trees import Trees, _numbers
from scalarize.utils.errors import RequestError

# One tree of two splits, by hand: w1 <= 0.5 ? (z <= 0 ? 1 : 2) : 3, with T = 2 domains and one scale.
BY_HAND = np.array([1, 3, 3, 1, 2, 0.5, 0.0, 1, -1, -3, -2, 1.0, 2.0, 3.0])
PRIOR = dict(zip(swarms.DOMAINS, (0.4, 0.2, 0.3, 0.1), strict=True))


def test_a_tree_is_read_as_it_is_written():
    w = np.array([[0.6, 0.4], [0.4, 0.6], [0.5, 0.5]])
    assert Trees().predict(BY_HAND[None], w, np.array([-1.0]))[:, 0].tolist() == [1.0, 3.0, 1.0]
    assert Trees().predict(BY_HAND[None], w, np.array([1.0]))[:, 0].tolist() == [2.0, 3.0, 2.0]


@pytest.mark.parametrize(("place", "value"), [(7, 0.0), (7, 2.0), (8, -4.0), (3, 3.0), (1, 1.0), (1, 9.0), (2, 4.0)])
def test_damaged_trees_are_refused(place, value):
    numbers = BY_HAND.copy()
    numbers[place] = value
    with pytest.raises(ValueError, match="trees: "):
        Trees().predict(numbers[None], np.array([[0.6, 0.4]]), np.zeros(1))


def test_no_lightgbm_is_said_in_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    with pytest.raises(RequestError, match=r"needs lightgbm: pip install 'scalarize\[mixture\]'$"):
        fit_runs(swarms.runs(40), ["trees"])
    assert "trees" not in fit_runs(swarms.runs(40)).explained


def test_numpy_predicts_what_lightgbm_predicts():
    lightgbm = pytest.importorskip("lightgbm")
    w = np.round(swarms.mixtures(300), 6)
    model = lightgbm.train(
        {"verbosity": -1, "num_threads": 1, "use_missing": False}, lightgbm.Dataset(w, swarms.law(w)[:, 0]), 50
    )
    at = np.round(swarms.mixtures(500, 3), 6)
    ours = Trees().predict(_numbers(model.model_to_string(), 4)[None], at, np.zeros(0))[:, 0]
    np.testing.assert_allclose(ours, model.predict(at), atol=1e-12)


def test_a_constant_loss_and_few_runs_fit():
    pytest.importorskip("lightgbm")
    w = swarms.mixtures(4)
    numbers = Trees().fit(Sample(w, np.zeros((4, 0)), np.full(4, 2.0))).numbers
    np.testing.assert_allclose(Trees().predict(numbers[None], w, np.zeros(0)), 2.0)


def test_trees_and_laws_in_one_fit_come_back_from_json(tmp_path):
    pytest.importorskip("lightgbm")
    runs = swarms.runs(120)
    step = 2.0 + (runs.weights[:, 0] > 0.3) + 0.5 * (runs.weights[:, 1] > 0.2)
    runs.losses[:, 1] = step
    fitted = fit_runs(runs, ["power", "trees"])
    assert fitted.forms == ("power", "trees")
    assert fitted.explained["trees"][1] > 0.9
    again = mixture.load(mixture.save(fitted, tmp_path / "fit.json"))
    w = swarms.mixtures(200, 5)
    for fold in (None, 0, 4):
        np.testing.assert_allclose(again.predict(w, fold=fold), fitted.predict(w, fold=fold), atol=1e-6)
    content = json.loads((tmp_path / "fit.json").read_text())
    content["folds"][1][1][4] = 99.0
    (tmp_path / "fit.json").write_text(json.dumps(content))
    with pytest.raises(RequestError, match="damaged fit: ValueError: trees"):
        mixture.load(tmp_path / "fit.json")


def test_the_choice_by_trees_keeps_constraints_and_claims_nothing():
    pytest.importorskip("lightgbm")
    fitted = fit_runs(swarms.runs(120), ["trees"])
    free = mixture.choose(fitted, prior=PRIOR)
    assert free.solver["name"] == "simulation"
    assert "gap" not in free.solver
    assert free.gain.value > 0
    limits = {"tv": 0.1, "kl": 0.05, "groups": {"web+math": (0.52, 0.6)}, "high": {"code": 0.25}}
    choice = mixture.choose(fitted, prior=PRIOR, **limits)
    keep = constraints.create(swarms.DOMAINS, np.array(list(PRIOR.values())), **limits)
    assert keep.violation(choice.weights) <= 1e-5
    again = mixture.choose(fitted, prior=PRIOR, **limits)
    assert (again.weights == choice.weights).all()
    held = mixture.choose(fitted, target="web_loss", keep=0.0, prior=PRIOR)
    assert all(m.gain >= -1e-5 for m in held.metrics)


def test_every_draw_keeps_the_constraints_as_they_say_themselves():
    prior = np.array(list(PRIOR.values()))
    keep = constraints.create(
        swarms.DOMAINS, prior, kl=0.1, tv=0.15, high={"web": 0.45}, groups={"web+books": (0.6, 0.8)}
    )
    drawn = simulate.draw(keep, prior, swarms.mixtures(50), np.random.default_rng(0), 400)
    assert max(keep.violation(w) for w in drawn) <= 2e-6
    assert simulate.keeps(keep, drawn).all()
    assert np.ptp(drawn, axis=0).min() > 0.02
    outside = drawn + np.array([0.2, -0.2, 0.0, 0.0])
    assert not simulate.keeps(keep, outside).any()


def test_only_smooth_forms_are_fitted_unasked():
    assert all(registry.get(name).smooth for name in registry.DEFAULT)
