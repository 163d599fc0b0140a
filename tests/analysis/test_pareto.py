"""Fronts and volumes whose answers can be counted by hand."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as hs
from hypothesis.extra.numpy import arrays

from scalarize.analysis import pareto
from scalarize.utils.errors import RequestError


def test_front_and_volume_by_hand():
    points = [[3, 1], [1, 3], [2, 2], [1, 1], [2, 2]]
    assert pareto.nondominated(points).tolist() == [True, True, True, False, True]
    assert pareto.hypervolume(points, [0, 0]) == pytest.approx(6.0)
    assert pareto.nondominated(points, maximise=False).tolist() == [False, False, False, True, False]
    assert pareto.hypervolume(points, [4, 4], maximise=False) == pytest.approx(9.0)
    assert pareto.hypervolume([[3, 1], [1, 3]], [0, 4], maximise=[True, False]) == pytest.approx(9.0)


def test_points_beyond_the_reference_add_nothing():
    assert pareto.hypervolume([[2, 2]], [1, 1]) == pareto.hypervolume([[2, 2], [9, 0], [1, 5]], [1, 1]) == 1.0
    assert pareto.hypervolume([[0, 0]], [1, 1]) == 0.0
    assert pareto.nondominated(np.zeros((0, 2))).size == 0


@given(arrays(np.float64, hs.tuples(hs.integers(1, 8), hs.integers(2, 3)), elements=hs.integers(0, 4).map(float)))
def test_front_is_the_definition(points):
    expected = [not any((q >= p).all() and (q > p).any() for q in points) for p in points]
    assert pareto.nondominated(points).tolist() == expected
    cells = itertools.product(range(5), repeat=points.shape[1])
    counted = sum(any((q > c).all() for q in points) for c in map(np.array, cells))
    assert pareto.hypervolume(points, np.zeros(points.shape[1])) == pytest.approx(counted)


def test_wrong_requests():
    with pytest.raises(RequestError, match="finite"):
        pareto.nondominated([[1.0, float("nan")]])
    with pytest.raises(RequestError, match="shape"):
        pareto.nondominated([1.0, 2.0])
    with pytest.raises(RequestError, match="2 directions for 3"):
        pareto.nondominated([[1, 2, 3]], maximise=[True, False])
    with pytest.raises(RequestError, match="needs 2 finite"):
        pareto.hypervolume([[1, 2]], [0, 0, 0])
