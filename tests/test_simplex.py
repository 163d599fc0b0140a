from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalarize import simplex
from scalarize.errors import RequestError

positive = st.lists(st.floats(1e-6, 1e6), min_size=2, max_size=8)


def on_simplex(w: np.ndarray) -> bool:
    return bool((w >= 0).all() and abs(w.sum() - 1) < 1e-9 and np.isfinite(w).all())


@given(positive)
def test_normalise_keeps_ratios(values: list[float]) -> None:
    w = simplex.normalise(values)
    assert on_simplex(w)
    assert np.allclose(w * values[0], np.asarray(values) * w[0])


@pytest.mark.parametrize("bad", [[], [1.0, -1.0], [float("nan"), 1.0], [0.0, 0.0], [float("inf"), 1.0], [[1.0, 2.0]]])
def test_normalise_refuses(bad: list[float]) -> None:
    with pytest.raises(RequestError, match="task weights"):
        simplex.normalise(bad)


def test_normalise_survives_extreme_scales() -> None:
    assert simplex.normalise([1e-320, 1e-320]).tolist() == [0.5, 0.5]
    assert simplex.normalise([1e308, 1e308, 1e308]).sum() == pytest.approx(1)


@given(positive, st.integers(0, 2**32 - 1))
def test_draws_and_perturbations_stay_on_the_simplex(center: list[float], seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = len(center)
    assert on_simplex(simplex.sample_dirichlet(rng, center, 2.0))
    floor = 0.1 / n
    moved = simplex.perturb(rng, center, floor=floor)
    assert on_simplex(moved)
    assert moved.min() >= floor - 1e-12


def test_dirichlet_has_the_center_as_its_mean() -> None:
    rng = np.random.default_rng(0)
    center = np.array([0.7, 0.2, 0.1])
    mean = np.mean([simplex.sample_dirichlet(rng, center, 5.0) for _ in range(4000)], axis=0)
    # deviation of one weight: sqrt(c (1 - c) / 6) < 0.19, so 0.012 is four standard errors
    assert np.abs(mean - center).max() < 0.012


def test_perturbation_is_by_the_given_factors() -> None:
    rng = np.random.default_rng(1)
    w = simplex.perturb(rng, [0.5, 0.3, 0.2], factors=(0.8, 1.2))
    ratios = w / np.array([0.5, 0.3, 0.2])
    assert set(np.round(ratios / ratios.max(), 6)) <= {1.0, round(0.8 / 1.2, 6)}


@given(positive)
def test_log_ratio_round_trip(values: list[float]) -> None:
    w = simplex.with_floor(values, 1e-7)
    z = simplex.to_log_ratio(w)
    assert z.shape == (len(values) - 1,)
    assert np.allclose(simplex.from_log_ratio(z), w, atol=1e-9)


@given(st.lists(st.floats(-20, 20), min_size=1, max_size=6))
def test_log_ratio_is_onto(z: list[float]) -> None:
    assert on_simplex(simplex.from_log_ratio(z))
    assert np.allclose(simplex.to_log_ratio(simplex.from_log_ratio(z), floor=1e-300), z, atol=1e-6)


@settings(max_examples=30)
@given(st.integers(2, 4), st.integers(1, 6))
def test_grid_is_complete(n: int, steps: int) -> None:
    from math import comb

    points = simplex.grid(n, steps)
    assert len(points) == comb(steps + n - 1, n - 1) == len({tuple(p) for p in points})
    assert all(on_simplex(p) for p in points)


def test_floor_above_uniform_is_refused() -> None:
    with pytest.raises(RequestError, match="floor"):
        simplex.with_floor([0.9, 0.1], 0.6)


def test_inverse_equalises() -> None:
    losses = np.array([0.1, 20.0, 3.0])
    weighted = simplex.inverse(losses) * losses
    assert np.allclose(weighted, weighted[0])
