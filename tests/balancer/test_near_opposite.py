"""Gradients that nearly oppose each other, in float32: the bargains have a closed form for two tasks."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import scalarize

ANGLES = [90.0, 150.0, 175.0, 178.2, 178.4, 179.0, 179.7, 179.95, 179.99]


def step(name: str, degrees: float, ratio: float, dtype: torch.dtype = torch.float32, **options: object):
    """One step on two linear losses at this angle; the Balancer, its answer, the gradient, and the rows."""
    generator = torch.Generator().manual_seed(int(degrees * 1000))
    basis, _ = torch.linalg.qr(torch.randn(5000, 2, generator=generator, dtype=torch.float64))
    turn = torch.tensor([[1.0, 0.0], [math.cos(math.radians(degrees)), math.sin(math.radians(degrees))]]).double()
    rows = (torch.tensor([[1.0], [ratio]]).double() * (turn @ basis.T)).to(dtype)
    p = nn.Parameter(torch.zeros(5000, dtype=dtype))
    balancer = scalarize.Balancer(name, [p], **options)
    used = balancer.backward({"a": rows[0] @ p + 1, "b": rows[1] @ p + 1})
    return balancer, used, p.grad, rows.double()


@pytest.mark.parametrize("ratio", [1.0, 40.0])
@pytest.mark.parametrize("degrees", ANGLES)
@pytest.mark.parametrize(("name", "hyper"), [("nash-mtl", {}), ("fairgrad", {}), ("fairgrad", {"alpha": 2.0})])
def test_two_tasks_have_their_closed_form(name: str, hyper: dict[str, float], degrees: float, ratio: float) -> None:
    """``G w = w^-p``: for p = 1, ``w = (1 + cos)^(-1/2) / n``; for p = 1/2 the float64 answer solves it."""
    balancer, used, gradient, rows = step(name, degrees, ratio, **hyper)
    assert balancer.solver_failures == 0
    norms = rows.norm(dim=1)
    if hyper:
        wanted = scalarize.methods.create(name, **hyper).combine_gradients(rows).weights
        torch.testing.assert_close(rows @ (wanted @ rows), wanted**-0.5, rtol=1e-5, atol=0)
    else:
        wanted = 1 / norms / math.sqrt(1 + float(rows[0] @ rows[1] / norms.prod()))
    torch.testing.assert_close(used.weights.double(), wanted, rtol=1e-5, atol=0)
    far = (gradient.double() - wanted @ rows).norm() / (wanted @ rows).norm()
    assert far < 2e-3


@pytest.mark.parametrize("name", ["nash-mtl", "fairgrad"])
def test_opposite_gradients_have_no_bargain_and_it_is_counted(name: str) -> None:
    p = nn.Parameter(torch.zeros(3))
    row = torch.tensor([1.0, -2.0, 0.5])
    balancer = scalarize.Balancer(name, [p])
    balancer.backward({"a": row @ p + 1, "b": -3 * row @ p + 1})
    assert balancer.solver_failures == 1
    torch.testing.assert_close(p.grad, torch.zeros(3), atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", ["mgda", "cagrad", "upgrad", "dualproj"])
@pytest.mark.parametrize("degrees", [*ANGLES, 180.0])
def test_quadratic_programmes_do_not_fail(name: str, degrees: float) -> None:
    for ratio in (1.0, 40.0):
        balancer, _, gradient, rows = step(name, degrees, ratio)
        assert balancer.solver_failures == 0
        assert torch.isfinite(gradient).all()
        slack = 1e-5 * rows.norm(dim=1).max() * rows.norm(dim=1)
        if name != "cagrad":
            assert (rows @ gradient.double() >= -slack).all()


@pytest.mark.parametrize("name", ["nash-mtl", "mgda", "cagrad", "upgrad"])
def test_many_near_opposite_rows_in_float32(name: str) -> None:
    generator = torch.Generator().manual_seed(0)
    for trial in range(40):
        n_tasks = 2 + trial % 6
        rows = torch.randn(n_tasks, 300, generator=generator)
        near = 10.0 ** (-1 - 3 * torch.rand(1, generator=generator))
        rows[1] = -rows[0] + near * rows[1]
        p = nn.Parameter(torch.zeros(300))
        balancer = scalarize.Balancer(name, [p])
        balancer.backward({str(t): row @ p + 1 for t, row in enumerate(rows)})
        assert balancer.solver_failures == 0, (trial, near)
        assert torch.isfinite(p.grad).all()
