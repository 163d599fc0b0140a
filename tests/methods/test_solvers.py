"""The small solvers: optimality on hard problems, blindness to scale, and failures that are seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from scalarize.methods import create
from scalarize.methods.bargaining import bargain
from scalarize.methods.gradient_based import cagrad as cagrad_file
from scalarize.methods.gradient_based import dual_cone, mgda
from scalarize.methods.gram import Gram
from scalarize.methods.solvers import min_norm, nonnegative_qp, onto_dual_cone
from scalarize.utils.errors import RunError

KINDS = ("plain", "zero", "opposite", "duplicate", "row_1e6", "pareto")


def jacobian(kind: str, n_tasks: int, n_parameters: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng([seed, n_tasks, n_parameters])
    j = rng.standard_normal((n_tasks, n_parameters)) * np.exp(rng.standard_normal((n_tasks, 1)))
    if kind == "zero":
        j[0] = 0
    elif kind == "opposite":
        j[1] = -j[0] / 2
    elif kind == "duplicate":
        j[1] = j[0]
    elif kind == "row_1e6":
        j[1] *= 1e6
    elif kind == "pareto":
        j[-1] = -j[:-1].sum(axis=0)
    return j


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("n_tasks", "n_parameters"), [(2, 10), (3, 50), (8, 5), (13, 20), (40, 5), (40, 100)])
def test_optimality(kind: str, n_tasks: int, n_parameters: int) -> None:
    for seed in range(3):
        j = jacobian(kind, n_tasks, n_parameters, seed)
        gram, norms = Gram.of_array(j @ j.T), np.linalg.norm(j, axis=1)
        w, converged = min_norm(gram)
        d = w @ j
        assert converged
        assert w.min() >= 0
        assert w.sum() == pytest.approx(1.0)
        # Every gradient reaches at least as far along d as d itself.
        assert (j @ d - d @ d >= -1e-9 * norms * (w @ norms) - 1e-9 * (d @ d)).all()
        p = np.full(n_tasks, 1 / n_tasks)
        w, converged = onto_dual_cone(gram, p)
        d = w @ j
        assert converged
        assert ((w - p) >= -1e-15).all()
        assert (j @ d >= -1e-7 * norms * (p @ norms)).all()
        # Only tasks that would otherwise be hurt are helped.
        assert np.abs(((w - p) * (j @ d)).sum()) <= 1e-9 * (p @ norms) * ((w * norms).sum())


@pytest.mark.parametrize("power", [1.0, 0.5, 2.0])
@pytest.mark.parametrize("n_tasks", [1, 2, 8, 40])
def test_bargaining(power: float, n_tasks: int) -> None:
    for kind in ("plain", "row_1e6") if n_tasks > 1 else ("plain",):
        j = jacobian(kind, n_tasks, n_tasks + 20, 0)
        w = bargain(Gram.of_array(j @ j.T), power)
        assert w is not None
        np.testing.assert_allclose(j @ (w @ j), w**-power, rtol=1e-7 if kind == "plain" else 1e-3)


@pytest.mark.parametrize("kind", ["zero", "opposite", "pareto"])
@pytest.mark.parametrize("power", [1.0, 0.5, 2.0])
def test_bargaining_without_a_solution(kind: str, power: float) -> None:
    j = jacobian(kind, 4, 20, 1)
    assert bargain(Gram.of_array(j @ j.T), power) is None


def test_the_solvers_do_not_see_scale() -> None:
    j = jacobian("plain", 6, 30, 0)
    plain, _ = min_norm(Gram.of_array(j @ j.T))
    for scale in (1e-60, 1e-8, 1e8, 1e60):
        np.testing.assert_allclose(min_norm(Gram.of_array(scale**2 * (j @ j.T)))[0], plain, rtol=1e-9, atol=1e-12)


def test_a_bad_answer_is_known_as_such() -> None:
    # Unbounded below: no minimiser exists, and none is claimed.
    _, converged = nonnegative_qp(np.array([[1.0, -1.0], [-1.0, 1.0]]), np.array([-1.0, -1.0]), 1e-16)
    assert not converged


def test_what_is_not_finite_is_refused() -> None:
    with pytest.raises(RunError, match="not finite"):
        create("mgda").combine_gradients(torch.tensor([[1.0, float("nan")], [0.0, 1.0]]))


@pytest.mark.parametrize(
    ("name", "module", "solver", "fallback"),
    [
        ("mgda", mgda, "min_norm", [0.0, 1.0]),
        ("cagrad", cagrad_file, "nonnegative_qp", [0.5, 0.5]),
        ("upgrad", dual_cone, "onto_dual_cone", [0.5, 0.5]),
        ("dualproj", dual_cone, "onto_dual_cone", [0.5, 0.5]),
    ],
)
def test_a_failure_is_counted_and_falls_back_as_documented(
    name: str, module: object, solver: str, fallback: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = getattr(module, solver)
    j = torch.tensor([[3.0, 0.0], [-0.5, 1.0]])
    method = create(name)
    method.combine_gradients(j)
    assert method.solver_failures == 0
    if name == "mgda":
        # The real solver's own fallback: the shortest gradient.
        from scalarize.methods import solvers

        monkeypatch.setattr(solvers, "nonnegative_qp", lambda h, q, eps: (nonnegative_qp(h, q, eps)[0], False))
    else:
        monkeypatch.setattr(module, solver, lambda *args: (real(*args)[0], False))
    result = method.combine_gradients(j)
    assert method.solver_failures >= 1
    np.testing.assert_allclose(result.weights, fallback)


@pytest.mark.parametrize("name", ["nash-mtl", "fairgrad"])
def test_no_bargain_falls_back_to_the_shortest_vector(name: str) -> None:
    j = torch.tensor([[1.0, 0.0], [-2.0, 0.0], [0.0, 1.0]])
    method = create(name)
    np.testing.assert_allclose(method.combine_gradients(j).gradient, [0.0, 0.0], atol=1e-7)
    assert method.solver_failures == 1


def test_cosines_stay_exact_where_norms_differ() -> None:
    j = jacobian("plain", 5, 40, 0) * np.logspace(-9, 9, 5)[:, None]
    gram = Gram.of_array(j @ j.T)
    units = j / np.linalg.norm(j, axis=1, keepdims=True)
    np.testing.assert_allclose(gram.cosines, units @ units.T, atol=1e-14)
    np.testing.assert_allclose(replace(gram, norms=np.ones(5)).gramian, gram.cosines)
