"""Preferences: oracle values, the ends they lead to on problems with a known front, and how they are refused."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch

from scalarize.methods import create, get, names
from scalarize.methods.linear_program import on_simplex
from scalarize.methods.preference import by_name
from scalarize.utils.errors import RequestError

WITH = [name for name in names() if "preference" in get(name).defaults()]

# Weights of the authors' code, dbmptr/EPOSearch at commit 19f14dd (toy_experiments/solvers/epo_lp.py), its two linear
# programmes solved by HiGHS 1.16 through cvxpy 1.9.3 in place of GLPK.
EPO: list[tuple[list[list[float]], list[float], list[float], list[float]]] = [
    (
        [[-0.06, -0.12, -0.06, 0.04, -0.91], [0.55, 1.29, 1.64, -0.64, -0.89]],
        [0.52, 1.75],
        [0.2, 0.8],
        [0.0, 1.0],
    ),
    (
        [[0.35, 0.99, 0.11, -1.35, 0.76], [0.44, -0.7, 0.8, 0.41, 0.44]],
        [1.02, 0.44],
        [0.5, 0.5],
        [0.961691, 0.038309],
    ),
    (
        [[0.16, -0.36, -0.6, -2.4, 1.53], [1.17, -0.49, 0.96, 0.24, -0.29], [0.95, -0.15, -0.51, -0.75, 0.19]],
        [0.82, 1.12, 1.8],
        [0.2, 0.3, 0.5],
        [0.0, 0.678706, 0.321294],
    ),
    (
        [
            [2.05, -2.09, 0.58, -0.72, -0.51],
            [-0.22, -2.48, -0.4, -0.71, 3.38],
            [0.23, 0.11, -0.12, -0.82, -1.11],
            [-0.4, 0.02, -0.4, 1.11, -0.14],
        ],
        [1.25, 1.05, 1.59, 0.25],
        [0.1, 0.2, 0.3, 0.4],
        [0.0, 0.082347, 0.811366, 0.106287],
    ),
    # Balanced to mu = 4e-6: descent.
    (
        [[0.02, -0.75, 1.99, 0.56, -1.91], [-0.68, -0.05, -0.18, -1.51, 0.51], [0.91, 1.0, 0.65, 0.41, -1.76]],
        [1.506, 0.997, 0.6012],
        [0.2, 0.3, 0.5],
        [0.585091, 0.414909, 0.0],
    ),
]


@pytest.mark.parametrize("case", EPO, ids=range(len(EPO)))
def test_epo_gives_the_weights_of_its_authors(case: Any) -> None:
    jacobian, losses, wanted, weights = case
    method = create("epo", preference=wanted)
    found = method.combine_gradients(torch.tensor(jacobian).double(), torch.tensor(losses).double())
    np.testing.assert_allclose(found.weights, weights, atol=2e-6)
    assert method.solver_failures == 0


@pytest.mark.parametrize("t", [1, 2, 3, 5, 20])
def test_linear_programmes_are_those_of_a_general_solver(t: int) -> None:
    linprog = pytest.importorskip("scipy.optimize").linprog
    for seed in range(6):
        rng = np.random.default_rng(100 * t + seed)
        rows, objective = rng.standard_normal((t + 1, t)), rng.standard_normal(t)
        bounds = rows @ rng.dirichlet(np.ones(t)) - rng.choice([0.0, 0.3], t + 1)  # feasible
        want = linprog(-objective, -rows, -bounds, np.ones((1, t)), [1.0], bounds=(0, None))
        found, solved = on_simplex(objective, rows, bounds, np.full(t, 1 / t))
        assert solved
        assert want.success
        assert found.sum() == pytest.approx(1.0)
        assert (found >= 0).all()
        assert (rows @ found >= bounds - 1e-8).all()
        assert objective @ found == pytest.approx(-want.fun, abs=1e-8)


def test_a_programme_without_a_solution_says_so() -> None:
    start = np.array([0.5, 0.5])
    found, solved = on_simplex(np.ones(2), np.eye(2), np.array([0.8, 0.8]), start)
    assert not solved
    assert (found == start).all()


def descend(name: str, steps: int = 500, lr: float = 0.03, **hyper: Any) -> np.ndarray:
    """The losses at the end of a training on the concave front of Fonseca and Fleming (1995), from (0.3, 0.1)."""
    method, x = create(name, **hyper), torch.tensor([0.3, 0.1], dtype=torch.float64, requires_grad=True)
    middle = torch.full((2,), 2**-0.5, dtype=torch.float64)
    for k in range(steps):
        losses = torch.stack([1 - torch.exp(-((x - s * middle) ** 2).sum()) for s in (1, -1)])
        rows = torch.stack([torch.autograd.grad(loss, x, retain_graph=True)[0] for loss in losses])
        step = method.combine_gradients(rows, losses.detach()).gradient
        with torch.no_grad():
            x -= lr * (1 - k / steps) * step
    return losses.detach().numpy()


def test_epo_ends_where_losses_times_preference_are_equal() -> None:
    for wanted in ([0.5, 0.5], [0.4, 0.6]):
        losses = descend("epo", preference=wanted)
        ratio = wanted[0] * losses[0] / (wanted[1] * losses[1])
        assert ratio == pytest.approx(1.0, abs=0.05), wanted


def test_pbi_ends_on_its_direction_where_a_weighted_sum_does_not() -> None:
    losses = descend("pbi", preference=[0.4, 0.6])
    assert losses[0] / losses[1] == pytest.approx(0.4 / 0.6, abs=0.02)
    summed = descend("fixed", weights=[0.4, 0.6])
    assert summed.min() < 0.05  # an end of the concave front


@pytest.mark.parametrize("name", WITH)
def test_equal_preferences_change_nothing(name: str) -> None:
    g = torch.Generator().manual_seed(0)
    rows, losses = torch.randn(3, 6, generator=g).double(), 0.5 + torch.rand(3, generator=g).double()
    extra = [torch.randn(3, 6, generator=g).double() for _ in range(get(name).extra_batches)]
    plain = create(name).combine_gradients(rows, losses, extra=extra).gradient
    equal = create(name, preference=[2.0, 2.0, 2.0]).combine_gradients(rows, losses, extra=extra).gradient
    torch.testing.assert_close(plain, equal, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", WITH)
def test_a_preference_changes_something_and_follows_its_task(name: str) -> None:
    g = torch.Generator().manual_seed(0)
    rows, losses = torch.randn(3, 6, generator=g).double(), 0.5 + torch.rand(3, generator=g).double()
    extra = [torch.randn(3, 6, generator=g).double() for _ in range(get(name).extra_batches)]
    plain = create(name).combine_gradients(rows, losses, extra=extra).gradient
    found = []
    for order in itertools.permutations(range(3)):
        at = torch.tensor(order)
        method = create(name, preference=[[0.7, 0.2, 0.1][k] for k in order])
        found.append(method.combine_gradients(rows[at], losses[at], extra=[e[at] for e in extra]).gradient)
        torch.testing.assert_close(found[0], found[-1], rtol=1e-7, atol=1e-9)
    assert not torch.allclose(plain, found[0], rtol=1e-3)


@pytest.mark.parametrize("name", WITH)
def test_zeros_and_absent_tasks(name: str) -> None:
    """A task of preference 0, and steps in which such a task is alone, keep everything finite."""
    g = torch.Generator().manual_seed(0)
    rows, losses = torch.randn(2, 6, generator=g).double(), torch.tensor([0.5, 2.0]).double()
    extra = [rows * 1.1 for _ in range(get(name).extra_batches)]
    method = create(name, preference=[1.0, 0.0])
    assert torch.isfinite(method.combine_gradients(rows, losses, extra=extra).gradient).all()
    only = {k: v[1:] if method.task_axes.get(k) else v for k, v in method.state.items()}
    alone = create(name, preference=[1.0])
    alone.state.update(only)
    weights = alone.combine_gradients(rows[1:], losses[1:], extra=[e[1:] for e in extra]).weights
    assert weights is not None
    assert torch.isfinite(weights).all()


@pytest.mark.parametrize("name", WITH)
@pytest.mark.parametrize(
    "value", [[-1.0, 2.0], [0.0, 0.0], [float("nan"), 1.0], [float("inf"), 1.0], [], "a=1", 3, [True, 1], ["a", "b"]]
)
def test_bad_numbers_are_refused_at_once(name: str, value: Any) -> None:
    with pytest.raises(RequestError, match="preference"):
        create(name, preference=value)


@pytest.mark.parametrize("name", WITH)
def test_another_number_of_tasks_is_refused(name: str) -> None:
    with pytest.raises(RequestError, match="preference has 2 entries for 3 tasks"):
        create(name, preference=[1.0, 2.0]).combine_gradients(torch.eye(3), torch.ones(3))


def test_names_of_tasks() -> None:
    assert by_name("b = 2, a=1", ["a", "b"]) == [1.0, 2.0]
    assert by_name({"a=x": 1, "b": 0}, ["b", "a=x"]) == [0.0, 1.0]
    assert by_name("a=x=3", ["a=x"]) == [3.0]
    assert by_name([1, 2], ["a", "b"]) == [1.0, 2.0]
    assert by_name(None, ["a"]) is None


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("a=1", "'b' is not named"),
        ("a=1,b=1,c=1", "unknown task 'c'"),
        ("a=1,a=2", "twice"),
        ("a=1,b", "NAME=NUMBER"),
        ("a=-1,b=2", ">= 0"),
        ("a=0,b=0", "not all 0"),
        ([1.0], "1 entries for 2 tasks"),
        ({"a": "x", "b": 1}, "numbers"),
    ],
)
def test_bad_names_and_numbers_are_named(value: Any, says: str) -> None:
    with pytest.raises(RequestError, match=says):
        by_name(value, ["a", "b"])
