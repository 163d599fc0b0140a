"""Tasks whose loss or gradient is exactly 0: they have no say, like tasks that are missing; counted, told once."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import scalarize
from scalarize.methods import Needs
from scalarize.utils.errors import ScalarizeWarning

TASKS = ("price", "clicks", "churn")
BY_DISTANCE = {"cosmos", "pbi", "stch"}  # to these a loss of 0 is a place like any other
DECIDE = [
    n for n in scalarize.methods.names() if scalarize.methods.get(n).needs > Needs.NOTHING and n not in BY_DISTANCE
]


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.encoder = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 4)).double()
        self.heads = nn.ModuleDict({t: nn.Linear(4, 1) for t in TASKS}).double()
        self.x = torch.randn(20, 6).double()
        self.y = torch.randn(20, 3).double() * torch.tensor([1.0, 4.0, 0.3]).double()

    def losses(self, balancer: scalarize.Balancer) -> tuple[dict[str, Tensor], Tensor]:
        z = self.encoder(self.x)
        found = {}
        for k, t in enumerate(TASKS):
            found[t] = (self.heads[t](balancer.view(z, t))[:, 0] - self.y[:, k]) ** 2
        return found, z


def masked(errors: Tensor, mask: Tensor) -> Tensor:
    """The usual mean over the labels that are there."""
    return (errors * mask).sum() / mask.sum().clamp(min=1)


def train(name: str, absent: str, steps: int = 8, **options: Any) -> tuple[Net, scalarize.Balancer, list[Any]]:
    """``clicks`` has no labels in every second batch; absent: ``"zero"`` masks its loss, ``"none"`` leaves it out."""
    net = Net()
    level = scalarize.methods.get(name).levels[0]
    balancer = scalarize.Balancer(name, net.encoder.parameters(), tasks=TASKS, level=level, **options)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
    used = []
    for k in range(steps):
        optimizer.zero_grad(set_to_none=False)
        errors, z = net.losses(balancer)
        losses: dict[str, Tensor | None] = {t: e.mean() for t, e in errors.items()}
        if k % 2 and absent == "zero":
            losses["clicks"] = masked(errors["clicks"], torch.zeros(20).double())
        elif k % 2:
            losses["clicks"] = None
        used.append(balancer.backward(losses, representation=z if level == "representation" else None))
        for p in net.parameters():
            p.grad = torch.zeros_like(p) if p.grad is None else p.grad
        optimizer.step()
    return net, balancer, used


@pytest.mark.filterwarnings("ignore::scalarize.utils.errors.ScalarizeWarning")
@pytest.mark.parametrize("name", DECIDE)
def test_a_masked_loss_trains_as_a_missing_one_does(name: str) -> None:
    zero, balancer, used = train(name, "zero")
    none, _, wanted = train(name, "none")
    for a, b in zip(zero.parameters(), none.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)
    assert balancer.empty_rows == {"price": 0, "clicks": 4, "churn": 0}
    for a, b in zip(used, wanted, strict=True):
        if a.weights is not None and not balancer.method.learned:
            torch.testing.assert_close(a.weights, b.weights, equal_nan=True)


def test_an_accumulated_step_leaves_them_out_too_but_not_from_rules_that_do_not_compare_gradients() -> None:
    net = Net()

    def step(name: str) -> Any:
        z = net.encoder(net.x)
        losses = {t: ((net.heads[t](z) - net.y[:, [k]]) ** 2).mean() for k, t in enumerate(TASKS)}
        losses["churn"] = ((net.heads["churn"](z.detach()) - net.y[:, [2]]) ** 2).mean()
        balancer = scalarize.Balancer(name, net.encoder.parameters(), tasks=TASKS, accumulate="full")
        return balancer.backward(losses)

    for name in ("uniform", "gls", "stch", "imtl-l"):
        assert torch.isfinite(step(name).weights).all()
    with pytest.warns(ScalarizeWarning, match="'churn'"):
        used = step("mgda")
    assert used.weights.isnan().tolist() == [False, False, True]


def test_it_is_told_once() -> None:
    with pytest.warns(ScalarizeWarning, match="'clicks' is exactly 0") as told:
        train("nash-mtl", "zero")
    assert len(told) == 1
    assert "empty_rows" in str(told[0].message)


@pytest.mark.parametrize("name", DECIDE)
def test_all_at_zero_is_no_step_and_no_nan(name: str) -> None:
    net = Net()
    level = scalarize.methods.get(name).levels[0]
    balancer = scalarize.Balancer(name, net.encoder.parameters(), tasks=TASKS, level=level)
    before = {k: v.clone() for k, v in balancer.method.ensure(3).items()}
    errors, z = net.losses(balancer)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        balancer.backward({t: e.mean() * 0 for t, e in errors.items()}, representation=z if level[0] == "r" else None)
    for p in net.parameters():
        assert p.grad is None or not p.grad.any()
    for key, value in before.items():
        torch.testing.assert_close(balancer.method.state[key].detach(), value.detach(), equal_nan=True)


@pytest.mark.parametrize("name", ["nash-mtl", "gradnorm", "excess-mtl", "mgda", "imtl"])
def test_a_task_that_trains_its_head_alone_still_does(name: str) -> None:
    """A detached representation: no row, but a head to train, also if heads are weighted."""
    net = Net()
    balancer = scalarize.Balancer(name, net.encoder.parameters(), tasks=TASKS)
    z = net.encoder(net.x)
    losses = {t: ((net.heads[t](z) - net.y[:, [k]]) ** 2).mean() for k, t in enumerate(TASKS)}
    alone = ((net.heads["churn"](z.detach()) - net.y[:, [2]]) ** 2).mean()
    (wanted,) = torch.autograd.grad(alone, net.heads["churn"].weight, retain_graph=True)
    with pytest.warns(ScalarizeWarning, match="'churn'"):
        balancer.backward({**losses, "churn": alone})
    torch.testing.assert_close(net.heads["churn"].weight.grad, wanted)


def test_counts_survive_a_state_dict() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _, balancer, _ = train("mgda", "zero")
    assert balancer.empty_rows == {"price": 0, "clicks": 4, "churn": 0}
    other = scalarize.Balancer("mgda", Net().encoder.parameters(), tasks=TASKS)
    other.load_state_dict(balancer.state_dict())
    assert other.empty_rows == balancer.empty_rows


def test_old_weights_do_not_serve_a_task_that_had_no_say() -> None:
    net = Net()
    balancer = scalarize.Balancer("mgda", net.encoder.parameters(), tasks=TASKS, every=10)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        errors, _ = net.losses(balancer)
        balancer.backward({t: e.mean() * (t != "clicks") for t, e in errors.items()})
    errors, _ = net.losses(balancer)
    used = balancer.backward({t: e.mean() for t, e in errors.items()})
    assert used.gramian is not None  # it looked again
    assert used.weights is not None
    assert torch.isfinite(used.weights).all()


@pytest.mark.parametrize("name", ["pcgrad", "mgda", "famo", "dwa", "gls"])
def test_one_task_a_batch_is_told_once(name: str) -> None:
    net = Net()
    balancer = scalarize.Balancer(name, net.encoder.parameters(), tasks=TASKS)
    balancer.epoch = 0
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for k in range(60):
            errors, _ = net.losses(balancer)
            balancer.backward({TASKS[k % 3]: errors[TASKS[k % 3]].mean()})
    assert [w.category for w in told] == [ScalarizeWarning]
    assert "accumulate='full'" in str(told[0].message)


@pytest.mark.parametrize("name", ["uniform", "rlw", "uncertainty", "imtl-l"])
def test_methods_that_act_on_one_task_a_batch_say_nothing(name: str) -> None:
    net = Net()
    balancer = scalarize.Balancer(name, net.encoder.parameters(), tasks=TASKS)
    for k in range(60):
        errors, _ = net.losses(balancer)
        balancer.backward({TASKS[k % 3]: errors[TASKS[k % 3]].mean()})  # a warning would be an error
    assert balancer.step == 60
