from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalarize.utils.errors import RequestError
from scalarize.weights import simplex

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
def test_draws_stay_on_the_simplex(center: list[float], seed: int) -> None:
    assert on_simplex(simplex.sample_dirichlet(np.random.default_rng(seed), center, 2.0))


@given(positive)
def test_what_lies_below_a_floor_is_raised(values: list[float]) -> None:
    floors = np.full(len(values), 0.1 / len(values))
    rows = simplex.normalise_rows(np.array([values, [1.0] * len(values)]))
    raised = simplex.apply_floor(rows, floors)
    assert all(on_simplex(row) for row in raised)
    assert (raised >= floors - 1e-12).all()
    assert raised[1].tolist() == rows[1].tolist()
    assert (np.diff(raised[0][np.argsort(values)]) >= -1e-12).all()  # in their order still


def test_dirichlet_has_the_center_as_its_mean() -> None:
    rng = np.random.default_rng(0)
    center = np.array([0.7, 0.2, 0.1])
    mean = np.mean([simplex.sample_dirichlet(rng, center, 5.0) for _ in range(4000)], axis=0)
    # deviation of one weight: sqrt(c (1 - c) / 6) < 0.19, so 0.012 is four standard errors
    assert np.abs(mean - center).max() < 0.012


@given(st.integers(2, 8), st.integers(0, 2**32 - 1))
def test_log_ratio_keeps_distances_of_centred_logarithms(n: int, seed: int) -> None:
    pair = np.random.default_rng(seed).dirichlet(np.ones(n), size=2) + 1e-6
    z = simplex.to_log_ratio(pair)
    assert z.shape == (2, n - 1)
    assert np.allclose(z[0], simplex.to_log_ratio(7.0 * pair[0]))
    logs = np.log(pair)
    centred = logs - logs.mean(axis=1, keepdims=True)
    assert np.linalg.norm(z[0] - z[1]) == pytest.approx(np.linalg.norm(centred[0] - centred[1]), abs=1e-9)


@settings(max_examples=30)
@given(st.integers(2, 4), st.integers(1, 6))
def test_grid_is_complete(n: int, steps: int) -> None:
    from math import comb

    points = simplex.grid(n, steps)
    assert len(points) == comb(steps + n - 1, n - 1) == len({tuple(p) for p in points})
    assert all(on_simplex(p) for p in points)


def test_inverse_equalises() -> None:
    losses = np.array([0.1, 20.0, 3.0])
    weighted = simplex.inverse(losses) * losses
    assert np.allclose(weighted, weighted[0])
