"""Points spread over the simplex."""

from __future__ import annotations

import numpy as np
import pytest

from scalarize.utils.errors import RequestError
from scalarize.weights.design import design


@pytest.mark.parametrize("n_tasks", [1, 2, 3, 7, 40])
@pytest.mark.parametrize("points", [1, 2, 11, 60])
def test_points_lie_on_the_simplex_and_differ(n_tasks: int, points: int) -> None:
    found = np.array(design(n_tasks, points))
    assert found.shape == (points, n_tasks)
    assert (found >= 0).all()
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    if n_tasks > 1:
        assert len(np.unique(found.round(9), axis=0)) == points


def test_points_inside_are_spread() -> None:
    inside = np.array(design(3, 4 + 60))[4:]
    np.testing.assert_allclose(inside.mean(axis=0), 1 / 3, atol=0.03)
    near = np.sqrt(((inside[:, None] - inside[None]) ** 2).sum(axis=2)) + 9 * np.eye(len(inside))
    # The triangle's area, sqrt(3) / 2, over 60 points that keep apart by d leaves d about 0.13; draws alone have pairs
    # ten times as near.
    assert near.min() > 0.08
    many = np.array(design(3, 4004))[4:]
    np.testing.assert_allclose(many.var(axis=0), 1 / 18, rtol=0.1)  # of the uniform distribution


def test_a_corner_is_one_task_alone() -> None:
    assert design(3, 5)[0].tolist() == [1.0, 0.0, 0.0]
    with pytest.raises(RequestError, match="at least 1"):
        design(2, 0)
