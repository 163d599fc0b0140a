"""What stands around a call of the Balancer changes nothing: autocast, no_grad, defaults of torch, other threads."""

from __future__ import annotations

import contextlib
import copy
import pickle
import threading

import pytest
import torch
from torch import nn

import scalarize
from scalarize.utils.errors import RequestError

SCALES = {"small": 0.01, "middle": 1.0, "large": 500.0}


class Net(nn.Module):
    def __init__(self, dtype=torch.float32):
        super().__init__()
        torch.manual_seed(0)
        self.encoder = nn.Sequential(nn.Linear(7, 9), nn.GELU(), nn.Linear(9, 4)).to(dtype)
        self.heads = nn.ModuleDict({t: nn.Linear(4, 2) for t in SCALES}).to(dtype)
        self.x = torch.randn(6, 7, dtype=dtype)

    def losses(self):
        z = self.encoder(self.x)
        return {t: SCALES[t] * ((h(z) - 1).float() ** 2).mean() for t, h in self.heads.items()}, z

    def grads(self):
        return [p.grad.clone() for p in self.parameters()]


def step(around, method="imtl-g", forward_around=None, level="parameters", **options):
    net = Net()
    balancer = scalarize.Balancer(method, net.encoder, level=level, **options)
    with forward_around or torch.enable_grad():
        losses, z = net.losses()
    with around:
        used = balancer.backward(losses, representation=z)
    return net, used


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("level", ["parameters", "representation"])
@pytest.mark.parametrize("method", ["imtl-g", "aligned-mtl", "nash-mtl", "cagrad", "graddrop", "uniform", "famo"])
def test_autocast_around_backward_changes_no_bit(method, level, dtype):
    autocast = torch.autocast("cpu", dtype=dtype)
    plain, want = step(torch.enable_grad(), method, autocast, level)
    around, used = step(torch.autocast("cpu", dtype=dtype), method, autocast, level)
    if used.gramian is not None:
        assert used.gramian.dtype == torch.float32
        assert torch.equal(used.gramian, want.gramian)
    assert all(torch.equal(a, b) for a, b in zip(around.grads(), plain.grads(), strict=True))


@pytest.mark.parametrize("options", [{"blocks": 3}, {"chunk": 2}, {"accumulate": "full"}, {"every": 2}], ids=str)
def test_autocast_around_the_other_ways(options):
    _, want = step(torch.enable_grad(), "mgda", **options)
    _, used = step(torch.autocast("cpu", dtype=torch.bfloat16), "mgda", **options)
    assert torch.equal(used.gramian, want.gramian)
    assert torch.equal(used.weights, want.weights)


def test_autocast_around_observe_and_weights_ahead_and_a_mixed_loss():
    def train(around):
        net = Net()
        famo = scalarize.Balancer("famo", net.encoder)
        drawn = scalarize.Balancer("rlw", net.encoder)
        for _ in range(3):
            losses = net.losses()[0]
            after = {t: x.item() * 0.9 for t, x in losses.items()}
            with around:
                famo.backward(losses)
                famo.observe(after)
                weights = drawn.weights_ahead(list(SCALES))
            mixed = sum(w * x for w, x in zip(weights, net.losses()[0].values(), strict=True))
            with around:
                drawn.backward_mixed(mixed)
        return [*net.grads(), *famo.method.state.values(), weights]

    plain = train(contextlib.nullcontext())
    around = train(torch.autocast("cpu", dtype=torch.bfloat16))
    torch.testing.assert_close(around, plain, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("method", ["uniform", "imtl-g", "uncertainty"])
def test_no_grad_around_backward(method):
    plain, want = step(torch.enable_grad(), method)
    around, used = step(torch.no_grad(), method)
    assert torch.equal(used.weights, want.weights)
    assert all(torch.equal(a, b) for a, b in zip(around.grads(), plain.grads(), strict=True))


def test_observe_under_inference_mode():
    net = Net()
    balancer = scalarize.Balancer("famo", net.encoder)
    for _ in range(2):
        balancer.backward(net.losses()[0])
        with torch.inference_mode():
            balancer.observe(net.losses()[0])
    assert not any(x.is_inference() for x in balancer.method.state.values())


@pytest.mark.parametrize("method", ["pcgrad", "rlw", "nash-mtl", "sdmgrad", "uniform"])
def test_a_default_device_is_not_the_methods(method):
    plain, want = step(torch.enable_grad(), method)
    around, used = step(torch.device("meta"), method)
    assert torch.equal(used.weights, want.weights)
    assert all(torch.equal(a, b) for a, b in zip(around.grads(), plain.grads(), strict=True))


def test_a_half_default_dtype_is_not_the_methods():
    _, want = step(torch.enable_grad(), "famo")
    torch.set_default_dtype(torch.bfloat16)
    try:
        _, used = step(torch.enable_grad(), "famo")
        assert torch.get_default_dtype() == torch.bfloat16
    finally:
        torch.set_default_dtype(torch.float32)
    assert used.weights.dtype == want.weights.dtype


def test_a_balancer_serves_one_call_at_a_time():
    net, other = Net(), []
    balancer = scalarize.Balancer("mgda", net.encoder)
    losses, _ = net.losses()
    outcome = []

    def elsewhere():
        try:
            balancer.backward(Net().losses()[0])
        except RequestError as error:
            outcome.append(str(error))

    def hook(grad):
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        other.append(1)

    next(iter(net.heads["small"].parameters())).register_post_accumulate_grad_hook(hook)
    balancer.backward(losses)
    assert other == [1]
    assert "at work already" in outcome[0]
    assert balancer.step == 1
    with pytest.raises(RequestError):
        balancer.backward({})
    balancer.backward(net.losses()[0])  # an error gives the turn back
    assert balancer.step == 2


@pytest.mark.parametrize("how", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=["deepcopy", "pickle"])
@pytest.mark.parametrize("level", ["parameters", "representation"])
def test_copies_with_their_model_work_and_those_without_are_refused(how, level):
    net = Net()
    balancer = scalarize.Balancer("mgda", net.encoder, level=level)
    for _ in range(2):
        losses, z = net.losses()
        balancer.backward(losses, representation=z)
    both, again = how((net, balancer))
    both.zero_grad()
    losses, z = both.losses()
    again.backward(losses, representation=z)
    assert all(p.grad is not None for p in both.parameters())
    alone = how(balancer)
    net.zero_grad()
    losses, z = net.losses()
    with pytest.raises(RequestError, match="no loss depends on shared="):
        alone.backward(losses, representation=z)
    assert all(p.grad is None for p in net.parameters())
