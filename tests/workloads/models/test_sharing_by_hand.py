"""Parameters that some tasks share: their rows, weights and gradients, with numbers worked out by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import scalarize
from scalarize.workloads.models.sharing.body import Body
from scalarize.workloads.models.sharing.build import ARCHITECTURES


def number(x: float) -> nn.Parameter:
    return nn.Parameter(torch.tensor([x], dtype=torch.float64))


def test_a_parameter_that_some_tasks_share_has_zeros_in_the_rows_of_the_others() -> None:
    # L_a = u w s,  L_b = u v + w,  L_c = -2 v w  at u = 1, v = 2, w = 3, s = 1; s belongs to task a alone.
    u, v, w, s = number(1.0), number(2.0), number(3.0), number(1.0)
    found = {"a": (u * w * s).sum(), "b": (u * v + w).sum(), "c": (-2 * v * w).sum()}
    balancer = scalarize.Balancer("fixed", [u, v, w], weights=[0.5, 0.25, 0.25], heads="own")
    balancer.backward(dict(found))
    # rows by (u, v, w): a (3, 0, 1), b (2, 1, 1), c (0, -6, -4)
    assert [p.grad.item() for p in (u, v, w)] == pytest.approx([2.0, -1.25, -0.25])
    assert s.grad.item() == pytest.approx(3.0)  # its own, not weighted

    for p in (u, v, w, s):
        p.grad = None
    found = {"a": (u * w * s).sum(), "c": (-2 * v * w).sum()}
    used = scalarize.Balancer("mgda", [u, v, w], heads="weighted").backward(found)
    assert used.gramian.flatten().tolist() == pytest.approx([10.0, -4.0, -4.0, 52.0])
    # the shortest point between the rows: a's share (52 + 4) / (10 + 52 + 8) = 0.8
    assert used.weights.tolist() == pytest.approx([0.8, 0.2])
    assert [p.grad.item() for p in (u, v, w)] == pytest.approx([2.4, -1.2, 0.0], abs=1e-12)
    assert s.grad.item() == pytest.approx(0.8 * 3.0)


class Times(nn.Module):
    """Multiply by one number."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = number(factor)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


def numbered(name: str, factors: list[float], tasks: str, **options: int):
    """An architecture whose stages and heads multiply by one number, and whose gates weigh all experts alike."""
    given = iter(factors)
    body = Body(nn.Identity(), [lambda: Times(next(given))], (1,))
    model = ARCHITECTURES[name](body, {t: Times(1.0) for t in tasks}, **options).double()
    for n, p in model.named_parameters():
        if "gate" in n:
            nn.init.zeros_(p)
    return model


@pytest.mark.parametrize("level", ["parameters", "representation"])
def test_mmoe_at_both_levels(level: str) -> None:
    # Experts 2 x and 4 x, both gates (1/2, 1/2), x = 3: z = 9. L_a = z = 9, L_b = -z^2 / 9 = -9.
    model = numbered("mmoe", [2.0, 4.0], "ab", experts=2)
    shared = model.encode(torch.tensor([[3.0]], dtype=torch.float64))
    z = model.decode(shared, "ab")
    balancer = scalarize.Balancer("mgda", model.shared_parameters(), level=level, heads="own")
    used = balancer.backward({"a": z["a"].sum(), "b": -z["b"].square().sum() / 9}, representation=shared)
    # By the experts' outputs (6, 12): a (1/2, 1/2), b (-1, -1). By their factors, 3 times that.
    by = 1.0 if level == "representation" else 9.0
    assert used.gramian.flatten().tolist() == pytest.approx([0.5 * by, -by, -by, 2.0 * by])
    assert used.weights.tolist() == pytest.approx([2 / 3, 1 / 3])  # 2/3 (1/2, 1/2) + 1/3 (-1, -1) = 0
    assert [p.grad.item() for p in model.experts.parameters()] == pytest.approx([0.0, 0.0], abs=1e-12)
    # A gate is its task's own. a: dL/dg = (6, 12), softmax at (1/2, 1/2): 1/4 (6 - 12, 12 - 6), times x = 3.
    assert model.gates[0].map.weight.grad.flatten().tolist() == pytest.approx([-4.5, 4.5])
    assert model.gates[1].map.weight.grad.flatten().tolist() == pytest.approx([9.0, -9.0])


@pytest.mark.parametrize("level", ["parameters", "representation"])
def test_cgc_leaves_the_experts_of_a_task_to_it(level: str) -> None:
    # Shared 2 x, own 4 x of a, 6 x of b, gates (1/2, 1/2), x = 3: z_a = 9, z_b = 12. L = z_a, -z_b.
    model = numbered("cgc", [2.0, 4.0, 6.0], "ab", experts=1, own_experts=1)
    shared = model.encode(torch.tensor([[3.0]], dtype=torch.float64))
    z = model.decode(shared, "ab")
    assert (z["a"].item(), z["b"].item()) == pytest.approx((9.0, 12.0))
    balancer = scalarize.Balancer("mgda", model.shared_parameters(), level=level, heads="own")
    used = balancer.backward({"a": z["a"].sum(), "b": -z["b"].sum()}, representation=shared)
    by = 1.0 if level == "representation" else 9.0  # rows of one number: 1/2 and -1/2, or 3/2 and -3/2
    assert used.gramian.flatten().tolist() == pytest.approx([0.25 * by, -0.25 * by, -0.25 * by, 0.25 * by])
    assert model.experts[0][0].factor.grad.item() == pytest.approx(0.0, abs=1e-12)
    assert [own[0][0].factor.grad.item() for own in model.own] == pytest.approx([1.5, -1.5])


def test_partial_sharing_as_torchjd_has_it() -> None:
    autojac = pytest.importorskip("torchjd.autojac")
    aggregation = pytest.importorskip("torchjd.aggregation")
    torch.manual_seed(0)
    model = ARCHITECTURES["ple"](
        Body(nn.Identity(), [lambda: nn.Linear(3, 4), lambda: nn.Linear(4, 2)], (3,)),
        {t: nn.Linear(2, 1) for t in "abc"},
    ).double()
    x = torch.randn(5, 3, dtype=torch.float64)

    def losses() -> dict[str, Tensor]:
        return {t: (y - k).square().mean() for k, (t, y) in enumerate(model(x).items())}

    shared = model.shared_parameters()
    scalarize.Balancer("imtl-g", shared).backward(losses())
    ours = [p.grad for p in shared]
    for p in model.parameters():
        p.grad = None
    autojac.backward(list(losses().values()), inputs=shared)
    autojac.jac_to_grad(shared, aggregation.IMTLG())
    for mine, p in zip(ours, shared, strict=True):
        torch.testing.assert_close(mine, p.grad, rtol=1e-6, atol=1e-9)
