"""The Balancer against gradients taken by hand, with two small methods of the test's own."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch
from torch import nn

import scalarize
from scalarize.methods import Evidence, Method, Needs
from scalarize.utils.errors import RequestError, RunError

TASKS = ("a", "b", "c")


@dataclass(eq=False)
class ByNorm(Method):
    """Weights 1/|g_t|, times the number of calls: needs the Gramian and has a state by task."""

    name = "by-norm"
    family = "gradient-based"
    needs = Needs.GRAMIAN
    heads = "weighted"
    paper = "none"
    task_axes = {"calls": 1}

    def init(self, n_tasks):
        return {"calls": torch.zeros(n_tasks)}

    def weigh(self, evidence: Evidence, state):
        calls = state["calls"] + 1
        return calls / evidence.gramian.diagonal().sqrt(), {"calls": calls}


@dataclass(eq=False)
class Learned(Method):
    """sum_t exp(-s_t) L_t + s_t with learned s: an objective over the losses."""

    name = "learned"
    family = "loss-based"
    needs = Needs.LOSSES
    heads = "weighted"
    paper = "none"
    learned = ("s",)
    task_axes = {"s": 1}
    has_objective = True

    def init(self, n_tasks):
        return {"s": torch.arange(n_tasks, dtype=torch.float64) / 10}

    def weigh(self, evidence, state):
        return torch.exp(-state["s"]).detach(), state

    def objective(self, losses, state):
        return (torch.exp(-state["s"]) * losses + state["s"]).sum()


class Net(nn.Module):
    def __init__(self, dtype=torch.float64, tasks=TASKS):
        super().__init__()
        torch.manual_seed(0)
        self.encoder = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3), nn.Tanh()).to(dtype)
        self.heads = nn.ModuleDict({t: nn.Linear(3, 2) for t in tasks}).to(dtype)
        self.x = torch.randn(5, 4, dtype=dtype)

    def losses(self, tasks=None):
        z = self.encoder(self.x)
        return {t: (self.heads[t](z) ** 2).mean() * (k + 1) for k, t in enumerate(tasks or self.heads)}, z

    def grads(self):
        return {n: None if p.grad is None else p.grad.clone() for n, p in self.named_parameters()}


def jacobian(net):
    rows = [
        torch.cat([g.flatten() for g in torch.autograd.grad(net.losses()[0][t], list(net.encoder.parameters()))])
        for t in net.heads
    ]
    return torch.stack(rows)


def expected(net, shared_weights, head_weights):
    """Gradients of the weighted sums, by ordinary backwards."""
    net.zero_grad()
    losses, _ = net.losses()
    total = sum(w * losses[t] for w, t in zip(shared_weights, net.heads, strict=True))
    shared = torch.autograd.grad(total, list(net.encoder.parameters()))
    losses, _ = net.losses()
    heads = [
        [w * g for g in torch.autograd.grad(losses[t], list(net.heads[t].parameters()), retain_graph=True)]
        for w, t in zip(head_weights, net.heads, strict=True)
    ]
    flat = [*shared, *(g for gs in heads for g in gs)]
    return {n: g for (n, _), g in zip(net.named_parameters(), flat, strict=True)}


def assert_same(got, wanted, rtol=1e-12):
    assert set(got) == set(wanted)
    for name, g in wanted.items():
        torch.testing.assert_close(got[name], g, rtol=rtol, atol=1e-14, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize("heads", ["own", "weighted"])
@pytest.mark.parametrize("method", ["fixed", "by-norm"])
def test_parameter_level_is_exact(method, heads):
    net = Net()
    if method == "fixed":
        b = scalarize.Balancer("fixed", net.encoder.parameters(), heads=heads, weights=[1, 2, 5])
        weights = torch.tensor([1, 2, 5]) / 8.0
    else:
        b = scalarize.Balancer(ByNorm(), net.encoder.parameters(), heads=heads)
        weights = 1 / jacobian(net).norm(dim=1)
    used = b.backward(net.losses()[0])
    got = net.grads()
    assert_same(got, expected(net, weights, weights if heads == "weighted" else torch.ones(3)))
    torch.testing.assert_close(used.weights, weights.double())
    if method == "by-norm":
        torch.testing.assert_close(used.gramian, jacobian(net) @ jacobian(net).T)


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("heads", ["own", "weighted"])
def test_representation_level_compares_gradients_of_the_representation(heads, several):
    net = Net()
    losses, z = net.losses()
    rows = torch.stack([torch.autograd.grad(losses[t], z, retain_graph=True)[0].flatten() for t in TASKS])
    weights = 1 / rows.norm(dim=1)
    if several:  # one representation split in two tensors: the same Gramian
        z = [net.encoder(net.x)[:, :1], net.encoder(net.x)[:, 1:]]
        both = torch.cat(z, dim=1)
        losses = {t: (net.heads[t](both) ** 2).mean() * (k + 1) for k, t in enumerate(TASKS)}
    b = scalarize.Balancer(ByNorm(), level="representation", heads=heads)
    used = b.backward(losses, representation=z)
    got = net.grads()
    torch.testing.assert_close(used.gramian, rows @ rows.T)
    assert_same(got, expected(net, weights, weights if heads == "weighted" else torch.ones(3)), rtol=1e-10)


@pytest.mark.parametrize("chunk", [2, 3, 7])
@pytest.mark.parametrize("options", [{}, {"level": "representation"}, {"accumulate": "full"}, {"blocks": 2}], ids=str)
@pytest.mark.parametrize("shares_a_head", [False, True])
def test_rows_made_together_are_the_rows_made_in_turn(chunk, options, shares_a_head):
    def grads(**how):
        net = Net()
        if shares_a_head:
            net.heads["c"] = net.heads["a"]  # owned by two tasks, so by neither alone
        balancer = scalarize.Balancer(ByNorm(), net.encoder.parameters(), tasks=TASKS, **options, **how)
        for final in (False, True) if options.get("accumulate") else (True,):
            losses, z = net.losses(("a", "c"))
            used = balancer.backward(losses, representation=z, final=final)
        return net.grads(), used.gramian

    (one, gramian), (many, gramian_of_many) = grads(), grads(chunk=chunk)
    torch.testing.assert_close(gramian_of_many, gramian, rtol=1e-12, atol=0)
    assert one["heads.a.weight"].norm() > 0
    assert one["heads.b.weight"] is None
    for name, expected in one.items():
        torch.testing.assert_close(many[name], expected, rtol=1e-12, atol=1e-15)


def test_gradients_add_up_as_in_an_ordinary_backward():
    net = Net()
    b = scalarize.Balancer(ByNorm(), net.encoder.parameters())
    b.method.ensure(3)
    start = {k: v.clone() for k, v in b.method.state.items()}
    b.backward(net.losses()[0])
    once = net.grads()
    b.method.state.update(start)
    b.backward(net.losses()[0])
    assert_same(net.grads(), {k: 2 * g for k, g in once.items()})


def test_an_objective_trains_what_the_method_learns():
    net = Net()
    b = scalarize.Balancer(Learned(), net.encoder.parameters(), tasks=TASKS, learned="yours")
    (s,) = b.parameters()
    losses, _ = net.losses()
    told = torch.stack([losses[t].detach() for t in TASKS])
    used = b.backward(losses)
    weights = torch.exp(-s.detach())
    torch.testing.assert_close(used.weights, weights)
    torch.testing.assert_close(s.grad, 1 - weights * told)
    assert b.parameters()[0] is s
    assert_same(net.grads(), expected(net, weights, weights))


@pytest.mark.parametrize("options", [{}, {"accumulate": "full"}, {"blocks": 2}])
def test_heads_get_the_objectives_scale_while_the_shared_part_gets_the_weights(options):
    """IMTL as its paper has it: alpha e^s on what is shared, e^s on what is a task's own (Liu et al. 2021)."""
    net = Net()
    b = scalarize.Balancer("imtl", net.encoder.parameters(), tasks=TASKS, learned="yours", **options)
    (s,) = b.parameters()
    with torch.no_grad():
        s.copy_(torch.tensor([0.5, -1.0, 0.2]))
    used = b.backward(net.losses()[0])
    assert b.heads == "objective"
    assert_same(net.grads(), expected(net, used.weights, torch.exp(s.detach())))
    own = scalarize.Balancer("imtl", net.encoder.parameters(), tasks=TASKS, heads="own")
    assert not torch.allclose(used.weights, torch.exp(s.detach()))
    net.zero_grad()
    used = own.backward(net.losses()[0])
    assert_same(net.grads(), expected(net, used.weights, torch.ones(3)))


def test_heads_objective_is_refused_where_there_is_none():
    p = nn.Parameter(torch.ones(2))
    with pytest.raises(RequestError, match="has no objective"):
        scalarize.Balancer("mgda", [p], heads="objective")
    with pytest.raises(RequestError, match="every= uses old weights"):
        scalarize.Balancer("imtl", [p], tasks=TASKS, every=2)


def test_a_missing_task_keeps_its_state_and_has_no_weight():
    net = Net()
    b = scalarize.Balancer(ByNorm(), net.encoder.parameters(), tasks=TASKS)
    used = b.backward({"c": net.losses()[0]["c"], "b": None, "a": net.losses()[0]["a"]})
    norms = jacobian(net).norm(dim=1)
    assert used.tasks == ("c", "b", "a")
    torch.testing.assert_close(
        used.weights, torch.stack([1 / norms[2], norms[0] * math.nan, 1 / norms[0]]), equal_nan=True
    )
    assert b.method.state["calls"].tolist() == [1, 0, 1]
    assert net.heads["b"].weight.grad is None
    with pytest.raises(RequestError, match="unknown task 'd'"):
        b.backward({"d": net.losses()[0]["a"]})


def test_every_uses_weights_again():
    net = Net()
    b = scalarize.Balancer(ByNorm(), net.encoder.parameters(), every=2)
    seen = [b.backward(net.losses()[0]) for _ in range(3)]
    torch.testing.assert_close(seen[0].weights, seen[1].weights)
    torch.testing.assert_close(seen[2].weights, 2 * seen[0].weights)
    assert [u.gramian is None for u in seen] == [False, True, False]


@pytest.mark.parametrize("method", ["uniform", "by-norm"])
def test_nonfinite_raises_naming_task_and_step_or_is_skipped_and_counted(method):
    net = Net()
    make = lambda **k: scalarize.Balancer("uniform" if method == "uniform" else ByNorm(), net.encoder.parameters(), **k)  # noqa: E731
    b = make()
    b.backward(net.losses()[0])
    losses, _ = net.losses()
    losses["b"] = losses["b"] * math.nan
    with pytest.raises(RunError, match=r"step 1.*loss of task 'b'"):
        b.backward(losses)
    net.zero_grad()
    b = make(on_nonfinite="skip")
    b.backward(net.losses()[0])
    net.zero_grad()
    before = b.state_dict()
    losses, _ = net.losses()
    losses["b"] = losses["b"] + (losses["b"] * 0).sqrt()  # a finite loss with an infinite slope
    used = b.backward(losses)
    assert used.skipped
    assert b.skipped_steps == 1
    assert all(p.grad is None for p in net.parameters())
    after = b.state_dict()
    assert all(torch.equal(after[k], before[k]) for k in before if k.startswith("method."))


def test_weights_ahead_are_those_of_the_mixed_loss():
    net = Net()
    b = scalarize.Balancer("fixed", net.encoder.parameters(), weights=[1, 1, 2])
    ahead = b.weights_ahead(TASKS)
    assert ahead.tolist() == [0.25, 0.25, 0.5]
    used = b.backward_mixed(net.losses()[0]["a"])
    assert torch.equal(used.weights, ahead)
    assert b.step == 1
    with pytest.raises(RequestError, match="no weights before the batch"):
        scalarize.Balancer(ByNorm(), net.encoder.parameters()).weights_ahead(TASKS)


def test_state_round_trip_goes_on_the_same():
    net = Net()
    one = scalarize.Balancer(ByNorm(), net.encoder.parameters())
    one.backward(net.losses()[0])
    two = scalarize.Balancer(ByNorm(), net.encoder.parameters())
    two.load_state_dict(one.state_dict())
    assert two.step == 1
    assert torch.equal(one.backward(net.losses()[0]).weights, two.backward(net.losses()[0]).weights)


def test_wrong_requests_are_refused_by_the_constructor():
    net = Net()
    for wrong, message in [
        ({"method": "uniform", "level": "layer"}, "unknown level"),
        ({"method": "uniform", "every": 0}, "every"),
        ({"method": "uniform", "on_nonfinite": "ignore"}, "on_nonfinite"),
        ({"method": "uniform", "heads": "mine"}, "heads"),
        ({"method": ByNorm()}, "shared="),
        ({"method": ByNorm(), "gamma": 1}, "gamma"),
    ]:
        with pytest.raises(RequestError, match=message):
            scalarize.Balancer(**{"shared": net.encoder.parameters() if "shared=" not in message else None, **wrong})
