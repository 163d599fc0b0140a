"""One suite over every registered method: what fails it is not registered.

Methods are told apart by what they declare, never by name; what a method cannot be created without is in ``NEEDED``.
"""

from __future__ import annotations

import dataclasses
import doctest
import inspect
import io
import re
from typing import Any

import numpy as np
import pytest
import torch

from scalarize import Balancer
from scalarize.methods import Evidence, Method, Needs, adapters, base, create, get, names, registry
from scalarize.weights.policy import Policy

P = 11


def _policy(n_tasks: int) -> Policy:
    rising = [float(t + 1) for t in range(n_tasks)]
    return Policy.from_schedule([str(t) for t in range(n_tasks)], [(0, rising), (2, rising[::-1])], epochs=4)


NEEDED = {"policy": _policy}


def make(name: str, n_tasks: int) -> Method:
    """A fresh method with its defaults."""
    return create(name, **{key: NEEDED[key](n_tasks) for key in get(name).requires})


def problem(n_tasks: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    """A Jacobian (T, P) with conflicts and rows of different lengths, and positive losses (T,)."""
    g = torch.Generator().manual_seed(1000 * n_tasks + seed)
    common = torch.randn(P, generator=g, dtype=torch.float64)
    signs = torch.where(torch.arange(n_tasks) % 2 == 0, 1.0, -0.5).double()
    rows = signs[:, None] * common * 0.7 + torch.randn(n_tasks, P, generator=g, dtype=torch.float64)
    lengths = torch.exp(0.5 * torch.randn(n_tasks, 1, generator=g, dtype=torch.float64))
    losses = 0.2 + torch.rand(n_tasks, generator=g, dtype=torch.float64)
    return (rows * lengths).to(dtype), losses.to(dtype)


def call(method: Method, j: torch.Tensor, losses: torch.Tensor, seed: int = 0) -> Any:
    """One step, with the further batches that the method declares; it is shown the losses that the step led to."""
    noise = torch.randn(j.shape, generator=torch.Generator().manual_seed(7), dtype=torch.float64).to(j)
    extra = [j * (1 + 0.1 * (k + 1) * noise) for k in range(method.extra_batches)]
    result = method.combine_gradients(j, losses, generator=torch.Generator().manual_seed(seed), extra=extra)
    if method.observes:
        method.observe(losses * torch.linspace(0.9, 0.7, len(losses)).to(losses))
    return result


def clone(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {key: value.detach().clone() for key, value in state.items()}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k].nan_to_num(), b[k].nan_to_num()) for k in a)


every_method = pytest.mark.parametrize("name", names())


@every_method
def test_declares_what_it_is(name: str) -> None:
    method = make(name, 3)
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)
    assert type(method).__module__.split(".")[2] == method.family.replace("-", "_")
    assert method.heads in ("own", "weighted", "objective")
    assert method.has_objective or method.heads != "objective"
    assert method.paper
    assert method.paper.split()[0] in (type(method).__doc__ or "")
    state = method.ensure(3)
    for key, axes in method.task_axes.items():
        if key in state:
            assert state[key].shape[:axes] == (3,) * axes
    assert {k for k, v in state.items() if isinstance(v, torch.nn.Parameter)} == set(method.learned) & set(state)
    assert bool(method.parameters()) == bool(set(method.learned) & set(state))


@every_method
def test_its_docstring_answers_what_users_ask(name: str) -> None:
    method = get(name)
    text = inspect.getdoc(method) or ""
    said = {line.split(":")[0] for line in text.splitlines() if ":" in line}
    assert {"Cost", "Fails"} <= said
    options = [f.name for f in dataclasses.fields(method)]
    assert not [o for o in options if not re.search(rf"(?<!\w){o}\b", text)]
    if options or method.needs == Needs.GRAMIAN:
        assert "Raises" in said


@every_method
def test_it_costs_the_backwards_that_its_needs_declare(name: str) -> None:
    """Passes through the shared part: one, or one a task if gradients of the parameters are compared."""
    method = make(name, 3)
    j, _ = problem(3)
    p, level = torch.nn.Parameter(torch.ones(P, dtype=torch.float64)), method.levels[0]
    balancer = Balancer(method, [p], level=level, tasks=["a", "b", "c"], steps_per_epoch=5)
    passes: list[int] = []

    def losses() -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        inside = p * 1.0
        inside.register_hook(lambda g: passes.append(1))
        z = inside * 2.0
        return {t: (balancer.view(z, t) @ row) ** 2 + 0.1 for t, row in zip("abc", j, strict=True)}, z

    found, z = losses()
    extra = [losses()[0] for _ in range(method.extra_batches)]
    balancer.backward(found, representation=z if level == "representation" else None, extra=extra)
    one = method.needs <= Needs.LOSSES or level == "representation"
    assert len(passes) == (1 if one else 3 * (1 + method.extra_batches))


@pytest.mark.parametrize("module", [base, registry, adapters], ids=lambda m: m.__name__)
def test_examples_in_docstrings_are_true(module: Any) -> None:
    done = doctest.testmod(module)
    assert done.attempted
    assert not done.failed


@every_method
def test_its_record_makes_it_again(name: str) -> None:
    method = make(name, 3)
    recorded = method.hyper
    assert set(recorded) == set(create(name, **{**recorded, **{k: NEEDED[k](3) for k in method.requires}}).hyper)
    with pytest.raises(ValueError, match="unknown hyper-parameter"):
        create(name, no_such_thing=1)


@every_method
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n_tasks", [1, 2, 7])
def test_shapes_and_dtypes(name: str, dtype: torch.dtype, n_tasks: int) -> None:
    method = make(name, n_tasks)
    for step in range(3):
        j, losses = problem(n_tasks, step, dtype)
        gradient, weights = call(method, j, losses, step)
        assert gradient.shape == (P,)
        assert gradient.dtype == dtype
        assert torch.isfinite(gradient).all()
        if weights is not None:
            assert weights.shape == (n_tasks,)
            assert torch.isfinite(weights).all()
        assert not gradient.requires_grad
    assert method.solver_failures == 0


@every_method
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_looks_only_at_what_it_needs(name: str, dtype: torch.dtype) -> None:
    method = make(name, 4)
    j, losses = problem(4, dtype=dtype)
    extra = tuple(Evidence(jacobian=j, gramian=j @ j.T, losses=losses) for _ in range(method.extra_batches))
    evidence = Evidence(
        losses=losses if method.needs >= Needs.LOSSES else None,
        gramian=j @ j.T if method.needs >= Needs.GRAMIAN else None,
        jacobian=j if method.needs >= Needs.JACOBIAN else None,
        generator=torch.Generator().manual_seed(0),
        extra=extra,
    )
    state = method.ensure(4)
    if method.has_combine:
        gradient, weights, _ = method.combine(evidence, state)
        assert gradient.dtype == dtype
    else:
        weights, _ = method.weigh(evidence, state)
    if weights is not None:
        assert weights.shape == (4,)
        assert weights.dtype == (torch.float64 if method.needs == Needs.NOTHING else dtype)


@every_method
def test_gradient_is_weights_times_jacobian(name: str) -> None:
    method = make(name, 4)
    for step in range(3):
        j, losses = problem(4, step)
        gradient, weights = call(method, j, losses, step)
        if weights is not None:
            torch.testing.assert_close(gradient, weights.to(j) @ j, rtol=1e-9, atol=1e-12)
        else:
            assert method.has_combine


@every_method
def test_loss_side_agrees_with_gradient_side(name: str) -> None:
    method, other = make(name, 4), make(name, 4)
    j, losses = problem(4)
    if method.needs > Needs.LOSSES:
        with pytest.raises(ValueError, match="combine_gradients"):
            method.combine_losses(losses)
        return
    at = losses.clone().requires_grad_()
    loss, weights = method.combine_losses(at, generator=torch.Generator().manual_seed(5))
    (slope,) = torch.autograd.grad(loss, at, allow_unused=True)
    torch.testing.assert_close(slope, weights.to(losses), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(call(other, j, losses, 5).weights, weights)


@every_method
def test_one_task_descends(name: str) -> None:
    j, losses = problem(1)
    gradient, _ = call(make(name, 1), j, losses, seed=1)
    assert float(gradient @ j[0]) >= 0.0


@every_method
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", ["zero_row", "all_zero", "opposite", "duplicate", "pareto"])
def test_hard_cases_stay_finite(name: str, kind: str, dtype: torch.dtype) -> None:
    j, losses = problem(3, dtype=dtype)
    if kind == "zero_row":
        j[1] = 0
    elif kind == "all_zero":
        j[:] = 0
    elif kind == "opposite":
        j[1] = -j[0]
    elif kind == "duplicate":
        j[2] = j[0]
    else:
        j[2] = -j[0] - j[1]
    method = make(name, 3)
    for step in range(3):
        gradient, weights = call(method, j, losses, step)
        assert torch.isfinite(gradient).all()
        assert weights is None or torch.isfinite(weights).all()
        if kind == "all_zero":
            assert not gradient.any()
    assert all(torch.isfinite(v).all() for k, v in method.state.items() if v.is_floating_point() and k != "before")


@every_method
@pytest.mark.parametrize("scale", [1e-8, 1e8])
def test_scale_behaviour(name: str, scale: float) -> None:
    method = make(name, 4)
    if method.homogeneity is None:
        pytest.skip("declares none")
    j, losses = problem(4)
    plain, _ = call(make(name, 4), j, losses)
    scaled, _ = call(method, scale * j, losses)
    torch.testing.assert_close(scaled / scale**method.homogeneity, plain, rtol=1e-6, atol=1e-9)


@every_method
def test_row_scale_behaviour(name: str) -> None:
    if not get(name).row_scale_invariant:
        pytest.skip("declares none")
    j, losses = problem(4)
    scales = torch.tensor([1.0, 1e3, 1e-2, 7.0]).double()
    plain, _ = call(make(name, 4), j, losses)
    scaled, _ = call(make(name, 4), scales[:, None] * j, losses)
    cosine = torch.nn.functional.cosine_similarity(plain, scaled, dim=0)
    assert cosine.item() == pytest.approx(1.0, abs=1e-9)


@every_method
def test_permutation(name: str) -> None:
    if not get(name).permutation_equivariant:
        pytest.skip("not declared")
    order = torch.tensor([2, 0, 4, 1, 3])
    straight, permuted = make(name, 5), make(name, 5)
    for step in range(3):
        j, losses = problem(5, step)
        noise = torch.randn(j.shape, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
        extra = [j * (1 + 0.1 * (k + 1) * noise) for k in range(straight.extra_batches)]
        a = straight.combine_gradients(j, losses, torch.Generator().manual_seed(step), extra=extra)
        others = [e[order] for e in extra]
        b = permuted.combine_gradients(j[order], losses[order], torch.Generator().manual_seed(step), extra=others)
        if straight.observes:
            after = losses * torch.linspace(0.9, 0.7, 5).double()
            straight.observe(after)
            permuted.observe(after[order])
        torch.testing.assert_close(a.gradient, b.gradient, rtol=1e-7, atol=1e-9)
        if a.weights is not None:
            torch.testing.assert_close(a.weights[order], b.weights, rtol=1e-6, atol=1e-8)


@every_method
def test_non_conflict(name: str) -> None:
    if not get(name).non_conflicting:
        pytest.skip("not declared")
    for seed in range(10):
        for n_tasks in (2, 4, 8):
            j, losses = problem(n_tasks, seed)
            gradient, _ = call(make(name, n_tasks), j, losses)
            slack = 1e-7 * torch.linalg.vector_norm(gradient) * torch.linalg.vector_norm(j, dim=1)
            assert (j @ gradient >= -slack).all()


@every_method
def test_randomness_comes_from_the_generator(name: str) -> None:
    j, losses = problem(6)
    torch.manual_seed(1)
    first, again = make(name, 6), make(name, 6)
    a = [call(first, j, losses, s).gradient for s in range(4)]
    torch.manual_seed(2)
    b = [call(again, j, losses, s).gradient for s in range(4)]
    assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))
    fresh = [call(make(name, 6), j, losses, s).gradient for s in range(8)]
    differs = any(not torch.equal(fresh[0], x) for x in fresh[1:])
    assert differs == get(name).random


@every_method
def test_state_round_trip(name: str) -> None:
    method = make(name, 4)
    for step in range(3):
        call(method, *problem(4, step), step)
    buffer = io.BytesIO()
    torch.save(clone(method.state), buffer)
    buffer.seek(0)
    other = make(name, 4)
    other.state.update(torch.load(buffer, weights_only=True))
    other._calls = method._calls
    for step in range(3, 6):
        a, b = (call(m, *problem(4, step), step) for m in (method, other))
        assert torch.equal(a.gradient, b.gradient)
    assert same(clone(method.state), clone(other.state))


@every_method
def test_pure_functions_leave_the_state_alone(name: str) -> None:
    method = make(name, 4)
    call(method, *problem(4))
    before = dict(method.state)
    copies = clone(before)
    j, losses = problem(4, 1)
    extra = tuple(Evidence(jacobian=j, gramian=j @ j.T, losses=losses) for _ in range(method.extra_batches))
    evidence = Evidence(losses, j @ j.T, j, step=1, epoch=1, generator=torch.Generator(), extra=extra)
    method.combine(evidence, before)
    method.observe(losses, before)
    assert same(clone(before), copies)
    assert method.state.keys() == before.keys()


@every_method
def test_reset_forgets(name: str) -> None:
    method, j, losses = make(name, 4), *problem(4)
    first = call(method, j, losses).gradient
    call(method, *problem(4, 1), 1)
    method.reset()
    assert torch.equal(call(method, j, losses).gradient, first)


@every_method
def test_another_number_of_tasks_is_refused_or_served(name: str) -> None:
    method = make(name, 4)
    call(method, *problem(4))
    if any(method.task_axes.get(key) for key in method.state):
        with pytest.raises(ValueError, match="tasks"):
            call(method, *problem(3))


@every_method
def test_views_keep_shape_and_survive_the_state(name: str) -> None:
    method, z = make(name, 3), torch.randn(2, P, dtype=torch.float32, generator=torch.Generator().manual_seed(0))
    for step in range(3):
        call(method, *problem(3, step), step)
    other = make(name, 3)
    other.state.update(clone(method.state))
    differs = False
    for task in range(3):
        at = z.clone().requires_grad_()
        seen = method.view(at, task, method.state)
        assert seen.shape == z.shape
        assert seen.dtype == z.dtype
        assert torch.equal(seen, other.view(z, task, other.state))
        (slope,) = torch.autograd.grad(seen.sum(), at)
        assert torch.isfinite(slope).all()
        differs |= not torch.equal(seen, z)
    assert differs == method.has_view


@every_method
def test_a_hundred_tasks(name: str) -> None:
    method = make(name, 100)
    j, losses = problem(100)
    gradient, _ = call(method, torch.cat([j, torch.eye(100).double()], dim=1), losses)
    assert np.isfinite(gradient.numpy()).all()
