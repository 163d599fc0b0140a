"""The representation: outputs that share a node, paths past it, levels that depend on each other, its containers."""

from __future__ import annotations

import collections
import dataclasses

import pytest
import torch
from torch import nn
from torch.nn.utils import rnn
from torch.utils.checkpoint import checkpoint

import scalarize
from balancer_truth import assert_right
from scalarize.utils.errors import RequestError

METHODS = ["mgda", "imtl-g", "pcgrad"]


class Halves(nn.Module):
    """An encoder whose last layer is taken apart; ``cut`` gives two tensors from one node, ``used`` two losses."""

    def __init__(self, cut, width=4):
        super().__init__()
        torch.manual_seed(0)
        self.encoder = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 2 * width))
        self.heads = nn.ModuleList([nn.Linear(width, 1), nn.Linear(width, 2)])
        self.cut, self.x = cut, torch.randn(6, 5)

    def forward(self):
        one, two = self.cut(self.encoder(self.x))
        return {
            "rebuilt": self.heads[0](one).square().mean(),
            "spread": (two.exp() - two + one.square()).mean(),
            "both": self.heads[1](one * two).abs().mean(),
        }, (one, two)


CUTS = {
    "chunk": lambda z: z.chunk(2, dim=1),
    "split": lambda z: z.split([4, 4], dim=1),
    "tensor_split": lambda z: z.tensor_split(2, dim=1),
    "unbind": lambda z: z.view(6, 2, 4).unbind(1),
    "sorted": lambda z: (z[:, :4].sort(dim=1).values, z[:, 4:].sort(dim=1).values),
    "unsafe_chunk": lambda z: torch.unsafe_chunk(z, 2, 1),
}


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("cut", CUTS)
def test_one_of_two_outputs_is_refused_and_both_are_right(cut, method, shared):
    model = Halves(CUTS[cut])
    given = model.encoder if shared else None
    losses, (one, two) = model()
    with pytest.raises(RequestError, match="past representation="):
        scalarize.Balancer(method, given, level="representation").backward(losses, representation=one)
    assert all(p.grad is None for p in model.parameters())
    losses, (one, two) = model()
    used = scalarize.Balancer(method, given, level="representation").backward(
        losses, representation={"m": one, "s": two}
    )
    assert_right(lambda: model()[0], model.encoder.parameters(), model.heads.parameters(), used)


def test_a_second_output_that_no_loss_uses_is_no_path():
    model = Halves(CUTS["chunk"])
    one, _ = model.cut(model.encoder(model.x))

    def forward():
        one, _ = model.cut(model.encoder(model.x))
        return {"a": model.heads[0](one).square().mean(), "b": model.heads[1](one).abs().mean()}, one

    losses, one = forward()
    used = scalarize.Balancer("mgda", level="representation").backward(losses, representation=one)
    assert_right(lambda: forward()[0], model.encoder.parameters(), model.heads.parameters(), used)


class Whole(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.encoder = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3))
        self.heads = nn.ModuleList([nn.Linear(3, 1), nn.Linear(3, 2)])

    def forward(self, x):
        z = self.encoder(x)
        return z, self.heads[0](z), self.heads[1](z)


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("method", METHODS)
def test_a_model_that_is_compiled_as_a_whole_is_refused(method, shared):
    model, x = Whole(), torch.randn(6, 5)
    compiled = torch.compile(model, backend="aot_eager")
    z, a, b = compiled(x)
    balancer = scalarize.Balancer(method, model.encoder if shared else None, level="representation")
    with pytest.raises(RequestError, match="past representation="):
        balancer.backward({"a": a.square().mean(), "b": b.exp().mean()}, representation=z)
    assert all(p.grad is None for p in model.parameters())


def test_a_recurrent_networks_output_and_state():
    torch.manual_seed(2)
    encoder, heads = nn.LSTM(4, 3, num_layers=2, batch_first=True), nn.ModuleList([nn.Linear(3, 2), nn.Linear(3, 1)])
    x = torch.randn(5, 7, 4)

    def forward():
        out, (h, c) = encoder(x)
        return {"tags": heads[0](out).square().mean(), "class": heads[1](h[-1] + c[-1]).abs().mean()}, (out, (h, c))

    losses, (out, _) = forward()
    with pytest.raises(RequestError, match="past representation="):
        scalarize.Balancer("mgda", encoder, level="representation").backward(losses, representation=out)
    losses, everything = forward()
    used = scalarize.Balancer("mgda", encoder, level="representation").backward(losses, representation=everything)
    assert_right(lambda: forward()[0], encoder.parameters(), heads.parameters(), used)


class Pyramid(nn.Module):
    """Levels that are made from one another, as a feature pyramid's."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.stages = nn.ModuleList([nn.Conv2d(2, 4, 3), nn.Conv2d(4, 5, 3, stride=2), nn.Conv2d(5, 6, 2)])
        self.heads = nn.ModuleList([nn.Linear(15, 1), nn.Linear(6, 2), nn.Linear(4, 1)])
        self.x = torch.randn(3, 2, 12, 12)

    def forward(self):
        levels, z = [], self.x
        for stage in self.stages:
            z = stage(z).tanh()
            levels.append(z)
        means = [z.mean((2, 3)) for z in levels]
        return {
            "all": self.heads[0](torch.cat(means, 1)).square().mean(),
            "deep": self.heads[1](means[2]).exp().mean(),
            "shallow": 9 * self.heads[2](means[0]).abs().mean(),
        }, levels


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1]])
@pytest.mark.parametrize("options", [{}, {"chunk": 2}, {"heads": "weighted"}], ids=str)
@pytest.mark.parametrize("method", METHODS)
def test_a_level_counts_only_what_does_not_pass_a_deeper_one(method, options, order):
    model = Pyramid()
    balancer = scalarize.Balancer(method, model.stages, level="representation", **options)
    losses, levels = model()
    used = balancer.backward(losses, representation=[levels[k] for k in order])
    assert_right(
        lambda: model()[0],
        model.stages.parameters(),
        model.heads.parameters(),
        used,
        head_weights=used.weights if options.get("heads") else None,
    )
    # the same heads on levels that are cut apart: what a gradient by each level alone is
    apart = [z.detach().requires_grad_() for z in model()[1]]
    means = [z.mean((2, 3)) for z in apart]
    losses = [
        model.heads[0](torch.cat(means, 1)).square().mean(),
        model.heads[1](means[2]).exp().mean(),
        9 * model.heads[2](means[0]).abs().mean(),
    ]
    rows = [torch.autograd.grad(x, apart, allow_unused=True) for x in losses]
    flat = [
        torch.cat([torch.zeros(z.numel()) if g is None else g.flatten() for z, g in zip(apart, r, strict=True)])
        for r in rows
    ]
    torch.testing.assert_close(used.gramian, torch.stack(flat) @ torch.stack(flat).T, rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_hooks_on_the_representation_fire_once(method):
    def run(factor, keep):
        torch.manual_seed(4)
        encoder, heads = nn.Linear(4, 3), nn.ModuleList([nn.Linear(3, 1), nn.Linear(3, 2)])
        z = encoder(torch.randn(5, 4))
        if factor is not None:
            z.register_hook(lambda g: g * factor)
        if keep:
            z.retain_grad()
        used = scalarize.Balancer(method, encoder, level="representation").backward(
            {"a": heads[0](z).square().mean(), "b": heads[1](z).exp().mean()}, representation=z
        )
        return encoder.weight.grad, used, z.grad if keep else None

    plain, want, _ = run(None, False)
    reversed_, used, kept = run(-0.5, True)
    assert torch.equal(used.gramian, want.gramian)
    torch.testing.assert_close(reversed_, -0.5 * plain)
    assert kept is not None
    assert kept.shape == (5, 3)
    torch.testing.assert_close(kept, run(None, True)[2] * -0.5)


@dataclasses.dataclass
class Output:
    last: torch.Tensor
    pooled: torch.Tensor | None = None


class ModelOutput(collections.OrderedDict):
    """As transformers has it: an ordered dict with attributes."""


Pair = collections.namedtuple("Pair", "first second")

CONTAINERS = {
    "tensor": lambda z: z,
    "dict": lambda z: {"tokens": z, "mask": torch.ones(3)},
    "ordered": lambda z: ModelOutput(last=z, hidden=None),
    "dataclass": lambda z: Output(z),
    "namedtuple": lambda z: Pair(z, None),
    "nested": lambda z: [None, (z, [z]), {"again": z}],
    "a view of the same edge": lambda z: [z, z],
}


@pytest.mark.parametrize("container", CONTAINERS)
def test_containers_are_understood(container):
    torch.manual_seed(5)
    encoder, heads = nn.Linear(4, 3), nn.ModuleList([nn.Linear(3, 1), nn.Linear(3, 2)])
    x = torch.randn(6, 4)

    def forward():
        z = encoder(x)
        return {"a": heads[0](z).square().mean(), "b": heads[1](z).exp().mean()}, z

    losses, z = forward()
    used = scalarize.Balancer("mgda", encoder, level="representation").backward(
        losses, representation=CONTAINERS[container](z)
    )
    row = torch.autograd.grad(forward()[0]["a"], encoder.bias)[0]
    assert used.gramian.shape == (2, 2)
    assert row.norm() > 0
    losses, z = forward()
    rows = [torch.autograd.grad(x, z, retain_graph=True)[0].flatten() for x in losses.values()]
    torch.testing.assert_close(used.gramian, torch.stack(rows) @ torch.stack(rows).T)
    assert_right(lambda: forward()[0], encoder.parameters(), heads.parameters(), used)


def test_a_packed_sequence_is_understood():
    torch.manual_seed(6)
    encoder, heads = nn.GRU(4, 3, batch_first=True), nn.ModuleList([nn.Linear(3, 1), nn.Linear(3, 2)])
    packed = rnn.pack_padded_sequence(torch.randn(3, 6, 4), torch.tensor([6, 4, 1]), batch_first=True)

    def forward():
        out, _ = encoder(packed)
        padded, _ = rnn.pad_packed_sequence(out, batch_first=True)
        return {"a": heads[0](padded).square().mean(), "b": heads[1](out.data).exp().mean()}, out

    losses, out = forward()
    used = scalarize.Balancer("mgda", encoder, level="representation").backward(losses, representation=out)
    assert_right(lambda: forward()[0], encoder.parameters(), heads.parameters(), used)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("z", "must be a tensor"),
        (3.0, "must be a tensor"),
        ([None], "needs representation="),
        ({}, "needs representation="),
        (torch.ones(3), "needs representation="),
        (lambda: 1, "must be a tensor"),
    ],
    ids=lambda x: x if isinstance(x, str) else type(x).__name__,
)
def test_what_is_no_representation_is_refused(wrong, message):
    w = nn.Parameter(torch.ones(2))
    balancer = scalarize.Balancer("mgda", [w], level="representation")
    with pytest.raises(RequestError, match=message) as error:
        balancer.backward({"a": w.sum(), "b": w.prod()}, representation=wrong)
    assert "\n" not in str(error.value)
    assert w.grad is None


COPIES = {
    "clone": lambda z: z.clone(),
    "double": lambda z: z.double(),
    "float": lambda z: z.bfloat16().float(),
    "view": lambda z: z.view(-1),
    "another forward": None,
}


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("copied", COPIES)
def test_a_copy_of_the_representation_is_refused(copied, shared):
    torch.manual_seed(7)
    encoder, heads = nn.Linear(4, 3), nn.ModuleList([nn.Linear(3, 1), nn.Linear(3, 2)])
    x = torch.randn(6, 4)
    z = encoder(x)
    copy = encoder(x) if COPIES[copied] is None else COPIES[copied](z)
    balancer = scalarize.Balancer("mgda", encoder if shared else None, level="representation")
    with pytest.raises(RequestError, match=r"representation=.*very tensors"):
        balancer.backward({"a": heads[0](z).square().mean(), "b": heads[1](z).exp().mean()}, representation=copy)
    assert encoder.weight.grad is None
    assert balancer.step == 0


def test_a_path_that_opens_later_is_seen():
    torch.manual_seed(8)
    encoder, heads = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 3)), nn.ModuleList([nn.Linear(3, 1), nn.Linear(3, 2)])
    balancer = scalarize.Balancer("mgda", level="representation")
    for skip in (False, False, True):
        early = encoder[0](torch.ones(5, 4))
        z = encoder[1](early)
        losses = {"a": heads[0](z).square().mean(), "b": heads[1](z + early if skip else z).exp().mean()}
        if not skip:
            balancer.backward(losses, representation=z)
            continue
        with pytest.raises(RequestError, match="past representation="):
            balancer.backward(losses, representation=z)


@pytest.mark.parametrize("where", ["encoder", "late layer", "head"])
@pytest.mark.parametrize("options", [{}, {"blocks": 2}, {"evidence_from": "last"}, {"heads": "weighted"}], ids=str)
@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpoints_are_right_or_refused(reentrant, options, where):
    torch.manual_seed(9)
    layers = nn.ModuleList([nn.Linear(4, 6), nn.Linear(6, 6), nn.Linear(6, 3)])
    heads = nn.ModuleList([nn.Linear(3, 1), nn.Linear(3, 2)])
    x = torch.randn(5, 4)
    if options.get("evidence_from"):
        options = {"evidence_from": layers[2]}

    def forward(on=True):
        def go(name, layer, z):
            return checkpoint(layer, z, use_reentrant=reentrant) if on and name == where else layer(z)

        z = go("encoder", layers[0], x.clone().requires_grad_()).tanh()
        z = layers[2](go("late layer", layers[1], z).tanh())
        return {"a": go("head", heads[0], z).square().mean(), "b": heads[1](z).exp().mean()}, z

    balancer = scalarize.Balancer("mgda", layers, **options)
    losses, _ = forward()
    if reentrant:
        with pytest.raises(RequestError, match=r"use_reentrant=False.*level='representation'"):
            balancer.backward(losses)
        assert all(p.grad is None for p in [*layers.parameters(), *heads.parameters()])
    else:
        used = balancer.backward(losses)
        own = used.weights if balancer.heads == "weighted" else None
        assert_right(lambda: forward(False)[0], layers.parameters(), heads.parameters(), used, head_weights=own)
    if options:
        return
    for p in [*layers.parameters(), *heads.parameters()]:
        p.grad = None
    deep = scalarize.Balancer("mgda", layers, level="representation")
    losses, z = forward()
    if reentrant and where == "head":
        with pytest.raises(RequestError, match="use_reentrant=False"):
            deep.backward(losses, representation=z)
        return
    used = deep.backward(losses, representation=z)
    assert_right(lambda: forward(False)[0], layers.parameters(), heads.parameters(), used)


@pytest.mark.parametrize("heads", ["weighted", "own"])
def test_reentrant_checkpoints_under_a_method_that_needs_no_gradients(heads):
    torch.manual_seed(10)
    encoder, head = nn.Linear(4, 3), nn.Linear(3, 1)
    x = torch.randn(5, 4)

    def forward(on):
        z = checkpoint(encoder, x.clone().requires_grad_(), use_reentrant=True) if on else encoder(x)
        return {"a": head(z).square().mean(), "b": z.exp().mean()}

    balancer = scalarize.Balancer("uniform", encoder, heads=heads)
    if heads == "own":
        with pytest.raises(RequestError, match="use_reentrant=False"):
            balancer.backward(forward(True))
        return
    used = balancer.backward(forward(True))
    assert_right(lambda: forward(False), encoder.parameters(), head.parameters(), used, head_weights=used.weights)
