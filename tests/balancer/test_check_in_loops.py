"""The probe raises no false alarm in loops that people have, and leaves their hooks and ``.grad`` as they are."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import nn

import scalarize
from scalarize.utils.errors import RequestError, RunError


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(4)
        self.encoder = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3))
        self.heads = nn.ModuleDict({"far": nn.Linear(3, 1), "near": nn.Linear(3, 2)})
        self.x = torch.randn(6, 5)

    def losses(self, encoder=None):
        z = (encoder or self.encoder)(self.x)
        return {t: (h(z) - 4 * (t == "far")).square().mean() for t, h in self.heads.items()}, z


@dataclasses.dataclass
class Features:
    last: Any
    more: Any = None


class Table:
    """What only looks like a mapping, as a TensorDict does."""

    def __init__(self, z):
        self._z = z

    def keys(self):
        return ["z"]

    def values(self):
        return [self._z]


@pytest.mark.parametrize("wrap", [Features, Table, lambda z: [z, z], lambda z: [{"z": (z, None)}]])
def test_a_representation_in_any_container(wrap):
    net = Net()
    balancer = scalarize.Balancer("nash-mtl", net.encoder, level="representation", check_first=1)

    def step():
        losses, z = net.losses()
        balancer.backward(losses, representation=wrap(z))

    report = balancer.check(step)
    assert report.ok, str(report)
    step()


@pytest.mark.parametrize("method", ["uniform", "mgda"])
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # of torch's tracer
def test_the_first_step_of_a_compiled_model(method):
    net = Net()
    encoder = torch.compile(net.encoder, backend="aot_eager")
    sum(net.losses(encoder)[0].values()).backward()  # so that it gives its buffers away after one backward
    scalarize.Balancer(method, net.encoder, check_first=1).backward(net.losses(encoder)[0])
    assert net.encoder[0].weight.grad is not None


def descend(p):
    p.data.sub_(p.grad)
    p.grad = None


@pytest.mark.parametrize("method", ["uniform", "pcgrad"])
def test_hooks_fire_once_after_the_first_step_was_checked(method):
    plain, net = Net(), Net()
    for n in (plain, net):
        for p in n.parameters():
            p.register_hook(lambda g: g.clamp(-0.01, 0.01))
            p.register_post_accumulate_grad_hook(descend)
    scalarize.Balancer(method, plain.encoder).backward(plain.losses()[0])
    scalarize.Balancer(method, net.encoder, check_first=1).backward(net.losses()[0])
    for p, q, old in zip(net.parameters(), plain.parameters(), Net().parameters(), strict=True):
        assert torch.equal(p, q)
        assert not torch.equal(p, old)
        assert p.grad is None


def test_a_first_step_that_differs_leaves_grad_as_it_was(monkeypatch):
    net = Net()
    held = torch.ones_like(net.encoder[0].weight)
    net.encoder[0].weight.grad = held
    balancer = scalarize.Balancer("mgda", net.encoder, check_first=1)
    monkeypatch.setattr("scalarize.balancer.jacobian.Rows.gradients", lambda self, flat: self._split(2 * flat))
    with pytest.raises(RunError, match="is off by"):
        balancer.backward(net.losses()[0])
    assert net.encoder[0].weight.grad is held
    assert bool((held == 1).all())
    assert net.encoder[0].bias.grad is None


def test_ranks_are_counted_as_in_the_step():
    # An eigenvalue between the precision of the step and that of the reference: aligned-mtl jumps there.
    net = Net()
    balancer = scalarize.Balancer("aligned-mtl", net.encoder)

    def step():
        losses, _ = net.losses()
        balancer.backward({"a": losses["far"], "b": 4e2 * losses["far"] + 0.3 * losses["near"]})

    report = balancer.check(step)
    assert report.ok, str(report)


def test_an_optimizer_with_closures_is_refused():
    net = Net()
    balancer = scalarize.Balancer("mgda", net.encoder)
    with pytest.raises(RequestError, match="LBFGS needs a closure"):
        balancer.check(lambda: balancer.backward(net.losses()[0]), torch.optim.LBFGS(net.parameters()))
