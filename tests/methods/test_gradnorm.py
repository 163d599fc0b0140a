"""GradNorm's weights stay above 0 by default, on losses of any units; the paper's free form is an option."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import scalarize
from scalarize.methods import create
from scalarize.utils.errors import RequestError


@pytest.mark.parametrize("units", [1e-12, 1.0, 300.0, 1e9])
@pytest.mark.parametrize("n_tasks", [2, 3, 7])
def test_weights_stay_positive_and_draw_the_norms_together(units: float, n_tasks: int) -> None:
    generator = torch.Generator().manual_seed(n_tasks)
    j = torch.randn(n_tasks, 30, generator=generator, dtype=torch.float64)
    j = j / j.norm(dim=1, keepdim=True) * units ** torch.linspace(0, 1, n_tasks).double()[:, None]
    method, losses = create("gradnorm", lr=0.1), torch.ones(n_tasks).double()
    for _ in range(800):
        weights = method.combine_gradients(j, losses).weights
        assert (weights > 0).all()
        assert weights.sum().item() == pytest.approx(n_tasks)
    # Losses that train at one rate are to pull alike.
    before, after = j.norm(dim=1), weights * j.norm(dim=1)
    assert after.max() / after.min() < max(2.0, 1e-3 * before.max() / before.min())


def test_the_units_of_all_losses_do_not_matter() -> None:
    j = torch.randn(3, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    losses = torch.tensor([1.0, 2.0, 0.5]).double()
    small, large = create("gradnorm"), create("gradnorm")
    for _ in range(20):
        a = small.combine_gradients(1e-6 * j, 1e-6 * losses)
        b = large.combine_gradients(1e6 * j, 1e6 * losses)
        torch.testing.assert_close(a.weights, b.weights)


def test_the_free_form_is_the_papers_and_can_turn_negative() -> None:
    j = torch.diag(torch.tensor([1.0, 300.0])).double()
    free, default = create("gradnorm", form="free"), create("gradnorm")
    lowest = [
        min(float(m.combine_gradients(j, torch.ones(2)).weights.min()) for _ in range(5)) for m in (free, default)
    ]
    assert lowest[0] < 0 < lowest[1]


@pytest.mark.parametrize("form", ["positive", "free"])
def test_a_floor_holds_up_to_the_scaling_to_sum_t(form: str) -> None:
    method = create("gradnorm", form=form, floor=0.2, lr=0.3)
    j, losses = torch.diag(torch.tensor([1.0, 50.0, 2.0])).double(), torch.ones(3).double()
    for _ in range(60):
        weights = method.combine_gradients(j, losses).weights
        assert weights.min() > 0.2 / 2
    bare = create("gradnorm", form=form, lr=0.3)
    assert min(float(bare.combine_gradients(j, losses).weights.min()) for _ in range(60)) < 0.1
    with pytest.raises(RequestError, match="floor="):
        create("gradnorm", form="softmax", floor=0.1)


def test_an_older_state_goes_on_in_its_own_form() -> None:
    older = create("gradnorm", form="free")
    j, losses = torch.eye(2).double() * 2, torch.ones(2).double()
    older.combine_gradients(j, losses)
    newer = create("gradnorm")
    newer.state.update({k: v.clone() for k, v in older.state.items()})
    for _ in range(3):
        assert torch.equal(newer.combine_gradients(j, losses).gradient, older.combine_gradients(j, losses).gradient)
    assert "log_weights" not in newer.state


def poisson_error(method: str) -> tuple[float, float]:
    """Relative error of a small network for ``u'' = -pi^2 sin(pi x)``, u(0) = u(1) = 0, and the least weight."""
    torch.manual_seed(1)
    net = nn.Sequential(nn.Linear(1, 20), nn.Tanh(), nn.Linear(20, 20), nn.Tanh(), nn.Linear(20, 1))
    inner, edge = torch.linspace(0, 1, 40)[:, None], torch.tensor([[0.0], [1.0]])
    truth = torch.sin(math.pi * inner)
    balancer = scalarize.Balancer(method, net.parameters())
    optimizer = torch.optim.Adam(net.parameters(), lr=5e-3)
    least = math.inf
    for _ in range(250):
        x = inner.clone().requires_grad_()
        u = net(x)
        (slope,) = torch.autograd.grad(u.sum(), x, create_graph=True)
        (curve,) = torch.autograd.grad(slope.sum(), x, create_graph=True)
        losses = {"inside": ((curve + math.pi**2 * truth) ** 2).mean(), "edge": (net(edge) ** 2).mean()}
        optimizer.zero_grad()
        used = balancer.backward(losses)
        optimizer.step()
        assert used.weights is not None
        least = min(least, float(used.weights.min()))
    with torch.no_grad():
        return float((net(inner) - truth).norm() / truth.norm()), least


def test_an_equation_and_its_boundary_are_solved_as_well_as_by_the_plain_sum() -> None:
    plain, _ = poisson_error("unitary")
    balanced, least = poisson_error("gradnorm")
    assert least > 0
    assert balanced < 3 * plain
