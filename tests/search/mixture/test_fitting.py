"""Laws: their derivatives, what they recover, errors that are honest, and a file that gives the same fit back."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

import fake_swarms as swarms
from scalarize.search.mixture import intervals, load, objective, save, store
from scalarize.search.mixture.fitting import fit_runs
from scalarize.search.mixture.forms import registry
from scalarize.search.mixture.forms.base import Sample
from scalarize.utils.errors import RequestError


@pytest.mark.parametrize("name", [n for n, f in registry.FORMS.items() if f.smooth])
@pytest.mark.parametrize("n_scales", [0, 1])
def test_gradient_is_the_derivative(name, n_scales):
    form, rng = registry.get(name), np.random.default_rng(0)
    w = swarms.mixtures(50)
    z = np.where(np.arange(50)[:, None] % 2 == 0, -1.0, 1.0)[:, :n_scales]
    loss = swarms.law(w)[:, 0] * np.exp(-0.3 * z.sum(axis=1))
    numbers = form.fit(Sample(w, z, loss)).numbers[None]
    at, scale = np.array([0.3, 0.2, 0.4, 0.1]), np.full(n_scales, 0.5)
    step = 1e-6
    for _ in range(3):
        move = rng.standard_normal(4)
        ends = np.stack([at + step * move, at - step * move])
        a, b = form.predict(numbers, ends, scale)[:, 0]
        assert (a - b) / (2 * step) == pytest.approx(float(form.gradient(numbers, at, scale)[0] @ move), rel=1e-4)


@pytest.mark.parametrize("name", [n for n, f in registry.FORMS.items() if f.convex])
def test_convex_forms_are_convex(name):
    form, w = registry.get(name), swarms.mixtures(60)
    numbers = form.fit(Sample(w, np.zeros((60, 0)), swarms.law(w)[:, 1])).numbers[None]
    a, b = swarms.mixtures(200, 7), swarms.mixtures(200, 8)
    none = np.zeros(0)
    middle = form.predict(numbers, 0.5 * (a + b), none)
    assert (middle <= 0.5 * (form.predict(numbers, a, none) + form.predict(numbers, b, none)) + 1e-9).all()


def test_a_power_law_is_recovered_from_few_runs():
    fitted = fit_runs(swarms.runs(40, noise=0.003))
    w = swarms.mixtures(200, 9)
    truth = swarms.law(w)
    error = fitted.predict(w) - truth
    assert fitted.forms == ("power", "power")
    assert ((error**2).mean(axis=0) < 0.02 * truth.var(axis=0)).all()


def test_another_law_takes_another_form():
    runs = swarms.runs(80)
    exponential = np.exp(runs.weights @ np.array([[2.0], [-3.0], [0.5], [-1.0]])) + 1.0
    fitted = fit_runs(replace(runs, metrics=("x",), higher=(False,), losses=exponential))
    assert fitted.forms == ("log-linear",)
    assert fitted.explained["log-linear"][0] > 0.999


def test_intervals_cover_new_runs_and_are_not_too_wide():
    inside, widths = [], []
    for seed in range(100, 900, 100):  # one fit's coverage varies with its few runs
        fitted, new = fit_runs(swarms.runs(80, seed, 0.05)), swarms.runs(400, seed + 50, 0.05)
        low, high = intervals.of_metrics(fitted, new.weights)
        inside.append(((new.losses >= low) & (new.losses <= high)).mean(axis=0))
        widths.append(float(np.median(high - low)))
    covered = np.mean(inside, axis=0)
    assert ((covered >= 0.87) & (covered <= 0.95)).all(), covered
    assert np.mean(widths) < 0.3  # noise alone needs 0.16


def test_gain_intervals_cover_differences_of_new_runs():
    inside = []
    for seed in range(100, 900, 100):
        fitted, new = fit_runs(swarms.runs(80, seed, 0.05)), swarms.runs(60, seed + 50, 0.05)
        mean = objective.create("mean", fitted.metrics)
        for a, b in zip(range(0, 30), range(30, 60), strict=True):
            gain = intervals.of_gain(fitted, mean, new.weights[a], new.weights[b])
            inside.append(gain.low <= new.losses[b].mean() - new.losses[a].mean() <= gain.high)
    assert 0.85 <= np.mean(inside) <= 0.96


def test_runs_of_two_sizes_predict_the_larger_one():
    small, large = swarms.runs(80), swarms.runs(24, seed=30)
    lower = 0.6 * (large.losses - 1.5) + 1.2
    both = replace(
        small,
        weights=np.concatenate([small.weights, large.weights]),
        losses=np.concatenate([small.losses, lower]),
        ids=(*small.ids, *(f"L{i}" for i in large.ids)),
        scale_names=("size",),
        scales=np.log(np.r_[np.full(80, 1e6), np.full(24, 6e7)])[:, None],
    )
    fitted = fit_runs(both)
    w = swarms.mixtures(200, 60)
    truth = 0.6 * (swarms.law(w) - 1.5) + 1.2
    assert (((fitted.predict(w) - truth) ** 2).mean(axis=0) < 0.1 * truth.var(axis=0)).all()
    small_again = fitted.predict(w, np.log([1e6]))
    assert (((small_again - swarms.law(w)) ** 2).mean(axis=0) < 0.1 * swarms.law(w).var(axis=0)).all()


def test_seeds_of_a_mixture_are_held_out_together():
    runs = swarms.runs(20)
    twice = runs.take(np.arange(20).repeat(2))
    fold_of = fit_runs(twice).fold_of
    assert (fold_of[::2] == fold_of[1::2]).all()
    assert len(set(fold_of.tolist())) == 5


def test_a_missing_metric_takes_its_run_from_that_metric_alone():
    runs = swarms.runs(40)
    runs.losses[:10, 0] = np.nan
    fitted = fit_runs(runs)
    assert np.isfinite(fitted.predict(runs.weights)).all()
    alone = fit_runs(
        replace(runs.take(np.arange(10, 40)), metrics=("x",), higher=(False,), losses=runs.losses[10:, :1])
    )
    np.testing.assert_allclose(fitted.laws[0], alone.laws[0], rtol=1e-6, atol=1e-6)


def test_a_fit_is_plain_json_and_comes_back(tmp_path):
    fitted = fit_runs(swarms.runs(40))
    again = load(save(fitted, tmp_path / "fit.json"))
    w = swarms.mixtures(10, 3)
    np.testing.assert_allclose(again.predict(w), fitted.predict(w), rtol=1e-7)
    np.testing.assert_allclose(intervals.of_metrics(again, w), intervals.of_metrics(fitted, w), rtol=1e-6)
    assert again.forms == fitted.forms
    assert again.runs.ids == fitted.runs.ids


def _break(content, path, value):
    for key in path[:-1]:
        content = content[key]
    content[path[-1]] = value


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("format",), "other"),
        (("domains",), ["a"]),
        (("metrics", 0, "numbers"), [1.0]),
        (("metrics", 0, "numbers"), "x"),
        (("metrics", 0, "form"), "magic"),
        (("metrics", 0, "better"), "sideways"),
        (("runs",), None),
        (("runs", "fold"), [99] * 20),
        (("runs", "weights", 0, 0), None),
        (("folds",), []),
    ],
)
def test_a_damaged_fit_is_refused_by_name(tmp_path, path, value):
    content = store.to_dict(fit_runs(swarms.runs(20)))
    _break(content, path, value)
    place = tmp_path / "fit.json"
    place.write_text(json.dumps(content))
    with pytest.raises(RequestError, match=r"fit\.json"):
        load(place)


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        (lambda r: r.take(np.arange(3)), "at least 4 runs"),
        (lambda r: r.take(np.zeros(10, dtype=int)), "at least 4 different mixtures"),
        (lambda r: replace(r, losses=np.where(np.arange(60)[:, None] < 3, r.losses, np.nan)), "measured in 3 runs"),
        (lambda r: replace(r, domains=("web",), weights=np.ones((60, 1))), "at least 2 domains"),
    ],
)
def test_too_little_is_refused(runs, message):
    with pytest.raises(RequestError, match=message):
        fit_runs(runs(swarms.runs()))


def test_no_torch_and_no_pandas_are_loaded():
    import subprocess
    import sys

    code = "import sys, scalarize.search.mixture, scalarize.cli.mixture; print({'torch', 'pandas'} & set(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "set()"
