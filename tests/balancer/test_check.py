"""The probe: right steps pass and change nothing; faults that were once there are found when put back."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from torch import nn

import scalarize
from scalarize import methods
from scalarize.balancer import autograd
from scalarize.utils.errors import RequestError, RunError

TASKS = ("a", "b", "c")
METHODS = [m for m in methods.names() if not methods.get(m).requires and not methods.get(m).extra_batches]


class Net(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        torch.manual_seed(0)
        self.encoder = nn.Sequential(
            nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Dropout(0.3), nn.Linear(6, width)
        )
        self.heads = nn.ModuleDict({t: nn.Linear(width, 2) for t in TASKS})
        self.x, self.y = torch.randn(8, 4), torch.randn(3, 8, 2)

    def losses(self, b=None):
        z = self.encoder(self.x)
        see = b.view if b else lambda z, t: z
        return {t: (k + 1) * ((h(see(z, t)) - self.y[k]) ** 2).mean() for k, (t, h) in enumerate(self.heads.items())}, z


def loop(net, b):
    def step():
        losses, z = net.losses(b)
        b.backward(losses, representation=z)

    return step


def make(method="mgda", level="parameters", net=None, **more):
    net = net or Net()
    b = scalarize.Balancer(method, net.encoder.parameters(), level=level, tasks=TASKS, steps_per_epoch=1, **more)
    return net, b


@pytest.mark.parametrize("level", ["parameters", "representation"])
@pytest.mark.parametrize("method", METHODS)
def test_what_is_right_passes(method, level):
    if level not in methods.get(method).levels:
        level = methods.get(method).levels[0]
    net, b = make(method, level)
    step = loop(net, b)
    for _ in range(2):
        report = b.check(step)
        assert report.ok, str(report)
        assert report.checked == len(list(net.parameters()))
        assert "as the method asks" in str(report)
        step()
    net, b = make(method, level, check_first=2)
    for _ in range(3):
        loop(net, b)()


@pytest.mark.parametrize("options", [
    {"heads": "weighted"}, {"blocks": 3}, {"chunk": 2}, {"every": 2}, {"accumulate": "full"},
])  # fmt: skip
def test_options_pass(options):
    net, b = make("mgda", **options)
    for _ in range(2):
        assert b.check(loop(net, b)).ok
        loop(net, b)()
    last = list(net.encoder[4].parameters())
    net, b = make("mgda", net=net, evidence_from=last)
    assert b.check(loop(net, b)).ok


def state(net, b, optimizer):
    streams = [torch.get_rng_state(), torch.tensor(np.random.get_state()[1].astype("int64")), random.getstate()]
    held = [*net.state_dict().values(), *(p.grad for p in net.parameters()), *b.state_dict().values()]
    return [*held, *streams, *(v for s in optimizer.state.values() for v in s.values())]


def test_everything_is_as_before():
    net, b = make("famo")
    optimizer = torch.optim.Adam(net.parameters())
    step = loop(net, b)

    def noisy():
        net.x = torch.randn(8, 4) + random.random() + float(np.random.rand())
        step()

    noisy()
    optimizer.step()
    before = [x.clone() if isinstance(x, torch.Tensor) else x for x in state(net, b, optimizer)]
    grads = [p.grad for p in net.parameters()]
    assert b.check(noisy, optimizer).ok
    after = state(net, b, optimizer)
    assert len(before) == len(after)
    same = [torch.equal(x, y) if isinstance(x, torch.Tensor) else x == y for x, y in zip(before, after, strict=True)]
    assert all(same)
    assert all(p.grad is g for p, g in zip(net.parameters(), grads, strict=True))
    assert b.method is b._method_state.method


def test_a_wrong_use_is_refused():
    net, b = make()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with pytest.raises(RequestError, match="did not call"):
        b.check(lambda: net.losses())

    def steps():
        loop(net, b)()
        optimizer.step()

    before = [p.clone() for p in net.parameters()]
    with pytest.raises(RequestError, match="leave out"):
        b.check(steps, optimizer)
    assert all(torch.equal(p, q) for p, q in zip(before, net.parameters(), strict=True))

    def twice():
        loop(net, b)()
        loop(net, b)()

    with pytest.raises(RequestError, match="once"):
        b.check(twice)


def test_f1_autocast_around_the_step(monkeypatch):
    """In half precision the Gramian of tasks of unlike scale gives other weights."""
    net, b = make("imtl-g")
    scales = {"a": 100.0, "b": 1.0, "c": 0.01}

    def step():
        losses, _ = net.losses()
        with torch.autocast("cpu", torch.bfloat16):
            b.backward({t: scales[t] * x for t, x in losses.items()})

    assert b.check(step).ok
    monkeypatch.setattr(scalarize.Balancer, "backward", scalarize.Balancer.backward.__wrapped__)
    report = b.check(step)
    assert any("encoder" in line for line in report.lines), str(report)
    with pytest.raises(RunError, match="encoder"):
        b.check(step, strict=True)


class Conv(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.encoder = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
        self.heads = nn.ModuleDict({t: nn.Linear(4, 1) for t in TASKS})
        self.x = torch.randn(4, 3, 8, 8).to(memory_format=torch.channels_last)

    def losses(self, b=None):
        z = self.encoder(self.x).tanh().mean((2, 3))
        return {t: (k + 1) * (h(z) - k).square().mean() for k, (t, h) in enumerate(self.heads.items())}, z


def test_f2_layout_of_grad_and_a_fused_optimiser(monkeypatch):
    net, b = make("pcgrad", net=Conv())
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, fused=True)
    assert b.check(loop(net, b), optimizer).ok
    accumulate = autograd.accumulate
    monkeypatch.setattr(autograd, "laid_out", lambda g, p: g.contiguous().to(p.dtype))
    monkeypatch.setattr(autograd, "accumulate", lambda *given, **more: accumulate(*given, **more | {"by_hand": True}))
    lines = b.check(loop(net, b), optimizer).lines
    assert any("strides" in line and "encoder.weight" in line for line in lines)
    assert any("optimizer moves it" in line for line in lines)
    b = make("pcgrad", net=net, check_first=1)[1]
    with pytest.raises(RunError, match="strides"):
        loop(net, b)()


def test_f3_a_node_shared_with_the_representation(monkeypatch):
    """A walk that stops at nodes leaves out what the losses reach past the representation."""
    torch.manual_seed(0)
    encoder, head = nn.Linear(4, 6), nn.ModuleDict({t: nn.Linear(3, 1) for t in TASKS})
    x = torch.randn(8, 4)
    b = scalarize.Balancer("mgda", level="representation")

    def step():
        mean, spread = encoder(x).chunk(2, 1)
        losses = {t: (k + 1) * (h(mean) - k).square().mean() for k, (t, h) in enumerate(head.items())}
        losses["a"] = losses["a"] + spread.exp().mean()
        b.backward(losses, representation=mean)

    from scalarize.balancer.reachability import Reachability

    monkeypatch.setattr(Reachability, "check_past", lambda *a: None)  # it refuses this
    real = autograd.reach

    def by_nodes(losses, stop=(), without=()):
        stops = [t.grad_fn for t in stop if t.grad_fn is not None]
        every = [x for node in stops for x in outputs.get(id(node), [])]
        return real(losses, [*stop, *every], without)

    outputs = {}
    chunk = torch.Tensor.chunk

    def kept(self, *args):
        parts = chunk(self, *args)
        outputs[id(parts[0].grad_fn)] = parts
        return parts

    monkeypatch.setattr(torch.Tensor, "chunk", kept)
    monkeypatch.setattr(autograd, "reach", by_nodes)
    assert any("weight" in line for line in b.check(step).lines)


@pytest.mark.filterwarnings("ignore")
def test_f5_shared_that_no_loss_reaches(monkeypatch):
    from scalarize.balancer.reachability import Reachability

    net, other = Net(), Net()
    b = scalarize.Balancer("mgda", other.encoder.parameters())
    with pytest.raises(RequestError):
        b.check(loop(net, b))
    monkeypatch.setattr(Reachability, "check_gradients", lambda *a: None)
    assert b.check(loop(net, b)).lines == ("no loss depends on any tensor of shared=",)


def test_f7_a_parameter_held_twice(monkeypatch):
    from scalarize.balancer import balancer as module

    net = Net()
    twice = [*net.encoder.parameters(), net.encoder[0].weight]
    b = scalarize.Balancer("mgda", twice)
    assert b.check(loop(net, b)).ok
    monkeypatch.setattr(module, "read_parameters", lambda given, name: tuple(given))
    b = scalarize.Balancer("mgda", twice)
    assert any("encoder.0.weight" in line for line in b.check(loop(net, b)).lines)


@pytest.mark.filterwarnings("ignore")
def test_f8_a_reentrant_checkpoint(monkeypatch):
    """It hides the parameters from gradients of single tasks: a Gramian of zeros."""
    from torch.utils.checkpoint import checkpoint

    from scalarize.balancer import backward_pass, task_gradients
    from scalarize.balancer.reachability import Reachability

    torch.manual_seed(0)
    encoder, head = nn.Linear(4, 3), nn.ModuleDict({t: nn.Linear(3, 1) for t in TASKS})
    x = torch.randn(8, 4, requires_grad=True)
    b = scalarize.Balancer("mgda", encoder, evidence_from=[encoder.weight], heads="weighted")

    def step():
        z = checkpoint(encoder, x, use_reentrant=True)
        b.backward({t: (k + 1) * (h(z) - k).square().mean() for k, (t, h) in enumerate(head.items())})

    with pytest.raises(RequestError, match="use_reentrant=False"):
        b.check(step)
    for module in (backward_pass, task_gradients):
        monkeypatch.setattr(module, "refuse_hidden", lambda found: None)
    monkeypatch.setattr(Reachability, "check_gradients", lambda *a: None)
    lines = b.check(step).lines
    assert any("weight" in line for line in lines), lines


def test_f9_complex_parameters(monkeypatch):
    torch.manual_seed(0)
    w = nn.Parameter(torch.randn(4, 4, dtype=torch.complex64))
    x = torch.randn(8, 4, dtype=torch.complex64)
    b = scalarize.Balancer("pcgrad", [w])

    def step():
        z = x @ w
        b.backward({"a": z.abs().mean(), "b": (z - 1j).abs().square().mean()})

    assert b.check(step).ok
    accumulate = autograd.accumulate

    def real_part(params, grads, **more):
        accumulate(params, [None if g is None else g.real.to(g.dtype) for g in grads], **more)

    monkeypatch.setattr(autograd, "accumulate", real_part)
    assert len(b.check(step).lines) == 1


def test_heads_that_get_another_tasks_gradient(monkeypatch):
    net, b = make("mgda")
    accumulate = autograd.accumulate

    def swapped(params, grads, **more):
        grads = list(grads)
        at = [k for k, p in enumerate(params) if p.shape == (2, 4)]
        if len(at) > 1:
            grads[at[0]], grads[at[1]] = grads[at[1]], grads[at[0]]
        accumulate(params, grads, **more)

    monkeypatch.setattr(autograd, "accumulate", swapped)
    lines = b.check(loop(net, b)).lines
    assert any("heads.a.weight" in line for line in lines)
    assert not any("encoder" in line for line in lines)
