"""What stands in ``.grad`` afterwards: its layout, its memory, its type, and the hooks that saw it."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch import nn
from torch.autograd.graph import register_multi_grad_hook as multi
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import orthogonal

import scalarize
from balancer_truth import assert_right, gradients
from scalarize.balancer.autograd import accumulate

FUSED = {
    "sgd": lambda ps, fused: torch.optim.SGD(ps, 0.1, momentum=0.9, fused=fused),
    "adam": lambda ps, fused: torch.optim.Adam(ps, 0.1, fused=fused),
    "adamw": lambda ps, fused: torch.optim.AdamW(ps, 0.1, fused=fused),
    "adagrad": lambda ps, fused: torch.optim.Adagrad(ps, 0.1, fused=fused),
}


class ChannelsLast(nn.Module):
    """Strided, depthwise and 1 x 1 convolutions, a convolution as a head, all channels last."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.encoder = nn.Sequential(
            nn.Conv2d(3, 6, 3, stride=2), nn.GELU(), nn.Conv2d(6, 6, 3, groups=6), nn.Conv2d(6, 4, 1)
        )
        self.heads = nn.ModuleDict({"map": nn.Conv2d(4, 2, 2), "score": nn.Conv2d(4, 1, 1)})
        self.to(memory_format=torch.channels_last)
        self.x = torch.randn(4, 3, 13, 11).to(memory_format=torch.channels_last)

    def forward(self):
        z = self.encoder(self.x)
        return {"map": self.heads["map"](z).square().mean(), "score": (self.heads["score"](z) - 1).abs().mean()}, z


class HeadsOnly(nn.Module):
    """Contiguous parameters whose gradients come in other layouts: a channels-last input, einsum, a transposed use."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(2)
        self.encoder = nn.Conv2d(3, 5, 3)
        self.heads = nn.ModuleDict({"conv": nn.Conv2d(5, 4, 2)})
        self.mix = nn.Parameter(torch.randn(6, 5))
        self.flip = nn.Parameter(torch.randn(7, 5).T)
        self.scale = nn.Parameter(torch.randn(3, 4))
        self.x = torch.randn(2, 3, 8, 8).to(memory_format=torch.channels_last)

    def forward(self):
        z = self.encoder(self.x)
        mixed = torch.einsum("bchw,dc->bhwd", z, self.mix)
        return {
            "conv": self.heads["conv"](z).square().mean(),
            "mix": mixed.abs().mean(),
            "flip": (z.mean((2, 3)) @ self.flip).square().sum(),
            "scale": z.mean() + 0.1 * self.scale.sum(),
        }, z


class Transposed(nn.Module):
    """Shared parameters that are transposed, permuted and of length 1 along axes."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.encoder = nn.ParameterList(
            [torch.randn(5, 7).T, torch.randn(4, 3, 5).permute(2, 0, 1), torch.randn(1, 4, 1).transpose(0, 2)]
        )
        self.heads = nn.ModuleDict({"a": nn.Linear(3, 1), "b": nn.Linear(3, 2)})
        self.x = torch.randn(6, 7)

    def forward(self):
        w, v, u = self.encoder
        z = torch.einsum("bi,ij,jkl->bkl", self.x, w, v).tanh() * u
        z = z.mean(1)
        return {"a": self.heads["a"](z).square().mean(), "b": self.heads["b"](z).abs().sum()}, z


MODELS = [ChannelsLast, HeadsOnly, Transposed]
OPTIONS = [
    {"level": "parameters"},
    {"level": "representation"},
    {"level": "parameters", "blocks": 2},
    {"level": "parameters", "chunk": 2},
    {"level": "parameters", "heads": "weighted"},
    {"level": "parameters", "accumulate": "full"},
]


def strides(x):
    """Of axes that are longer than 1: along the others there is no step to make."""
    return [step for step, length in zip(x.stride(), x.shape, strict=True) if length > 1]


def step(model, method, options):
    balancer = scalarize.Balancer(method, model.encoder, **options)
    losses, z = model()
    return balancer.backward(losses, representation=z)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("method", ["mgda", "pcgrad", "uniform"])
@pytest.mark.parametrize("model", MODELS)
def test_the_layout_is_the_parameters_and_the_numbers_are_right(model, method, options):
    if method != "mgda" and "blocks" in options:
        method = "imtl-g"
    model = model()
    used = step(model, method, options)
    shared = list(model.encoder.parameters())
    heads = [p for p in model.parameters() if all(p is not q for q in shared)]
    assert all(strides(p.grad) == strides(p) for p in model.parameters() if p.grad is not None)
    balancer_heads = scalarize.Balancer(method, shared, **options).heads
    own = None if balancer_heads == "own" else used.weights
    assert_right(lambda: model()[0], shared, heads, used, head_weights=own)


@pytest.mark.parametrize("optimizer", FUSED)
@pytest.mark.parametrize("level", ["parameters", "representation"])
@pytest.mark.parametrize("model", MODELS)
def test_fused_optimisers_step_as_plain_ones_do(model, level, optimizer):
    ends = []
    for fused in (True, False):
        net = model()
        make = FUSED[optimizer](net.parameters(), fused)
        balancer = scalarize.Balancer("mgda", net.encoder, level=level)
        for _ in range(3):
            make.zero_grad()
            losses, z = net()
            balancer.backward(losses, representation=z)
            make.step()
        ends.append([p.detach().clone() for p in net.parameters()])
    for a, b in zip(*ends, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("method", ["mgda", "uniform"])
def test_no_two_gradients_share_memory(method):
    """Autograd hands one tensor to both terms of a sum: a clipping in place would scale it twice."""
    torch.manual_seed(0)
    encoder = nn.Linear(3, 4)
    bias, offset = nn.Parameter(torch.zeros(4)), nn.Parameter(torch.zeros(4))
    x = torch.randn(5, 3)
    balancer = scalarize.Balancer(method, encoder, heads="own")

    def forward():
        z = encoder(x)
        return {"a": (z + (bias + offset)).square().sum(), "b": z.abs().sum()}

    used = balancer.backward(forward())
    assert bias.grad.data_ptr() != offset.grad.data_ptr()
    nn.utils.clip_grad_norm_([bias, offset], 0.5 * torch.stack([bias.grad, offset.grad]).norm().item())
    clipped = bias.grad.clone(), offset.grad.clone()
    whole = gradients(forward, [bias, offset], [1.0] * len(used.tasks))
    for got, wanted in zip(clipped, whole, strict=True):
        torch.testing.assert_close(got, 0.5 * wanted, rtol=1e-4, atol=1e-5)


class Saved(torch.autograd.Function):
    """A straight-through function whose backward hands out a tensor of the caller's."""

    @staticmethod
    def forward(ctx, weight, slope):
        ctx.slope = slope
        return weight.sum()

    @staticmethod
    def backward(ctx, _):
        return ctx.slope, None


def test_a_gradient_is_no_tensor_of_the_models():
    weight, slope, w = nn.Parameter(torch.zeros(3)), torch.tensor([1.0, 2.0, 3.0]), nn.Parameter(torch.ones(2))
    scalarize.Balancer("mgda", [w]).backward({"a": Saved.apply(weight, slope) + w.sum(), "b": (w * w).sum()})
    weight.grad.mul_(10)
    assert slope.tolist() == [1, 2, 3]


def test_expanded_gradients_can_be_clipped():
    torch.manual_seed(0)
    w, scale = nn.Parameter(torch.randn(3)), nn.Parameter(torch.ones(4, 5))
    scalarize.Balancer("mgda", [w]).backward({"a": w.sum() + 0.01 * scale.sum(), "b": w.prod()})
    nn.utils.clip_grad_norm_([w, scale], 1e-3)
    torch.testing.assert_close(torch.cat([w.grad, scale.grad.flatten()]).norm(), torch.tensor(1e-3), rtol=1e-3, atol=0)


@pytest.mark.skipif(not hasattr(torch.Tensor, "grad_dtype"), reason="torch before 2.10")
@pytest.mark.parametrize("method", ["mgda", "uniform"])
def test_half_parameters_with_gradients_in_float32(method):
    torch.manual_seed(0)
    net = nn.Linear(4, 3).bfloat16()
    for p in net.parameters():
        p.grad_dtype = torch.float32
    z = net(torch.randn(5, 4).bfloat16()).float()
    scalarize.Balancer(method, net).backward({"a": z.square().mean(), "b": z.abs().mean()})
    assert all(p.grad.dtype == torch.float32 for p in net.parameters())


class Spectral(nn.Module):
    """Learned complex filters, as Fourier layers have them, and a complex head."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(4)
        self.encoder = nn.ParameterList([torch.randn(3, 5, dtype=torch.complex64), torch.randn(5), torch.randn(5, 4)])
        self.head = nn.Parameter(torch.randn(4, dtype=torch.complex64))
        self.x = torch.randn(6, 8, 3)

    def forward(self):
        w, bias, real = self.encoder
        z = (torch.fft.rfft(self.x, dim=1) @ w + bias) @ real.to(w)  # a complex representation
        return {
            "a": (z @ self.head).abs().mean(),
            "b": torch.fft.irfft(z, dim=1).square().mean(),
            "c": z.imag.mean(),
        }, z


@pytest.mark.parametrize("options", [{}, {"level": "representation"}, {"chunk": 2}, {"blocks": 2}], ids=str)
@pytest.mark.parametrize("method", ["mgda", "imtl-g"])
def test_complex_numbers_keep_both_parts(method, options):
    model = Spectral()
    used = step(model, method, options)
    rows = []
    for k in range(3):
        losses, z = model()
        at = [z] if options.get("level") else list(model.encoder)
        found = torch.autograd.grad(list(losses.values())[k], at, allow_unused=True)
        found = [torch.zeros_like(p) if g is None else g for g, p in zip(found, at, strict=True)]
        flat = [torch.view_as_real(g).flatten() if g.is_complex() else g.flatten() for g in found]
        rows.append(torch.cat(flat))
    rows = torch.stack(rows)
    torch.testing.assert_close(used.gramian, rows @ rows.T, rtol=1e-4, atol=1e-5)
    for p, wanted in zip(model.encoder, _weighted(model, used.weights, list(model.encoder)), strict=True):
        torch.testing.assert_close(p.grad, wanted, rtol=1e-4, atol=1e-5)
    (wanted,) = _weighted(model, [1.0, 1.0, 1.0], [model.head])
    torch.testing.assert_close(model.head.grad, wanted, rtol=1e-4, atol=1e-5)


def _weighted(model, weights, params):
    losses = model()[0].values()
    return torch.autograd.grad(sum(float(w) * x for w, x in zip(weights, losses, strict=True)), params)


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("every_task", [False, True])
def test_sparse_gradients_stay_sparse_and_train_with_sparse_adam(every_task, chunked):
    def train(method, sparse_adam):
        torch.manual_seed(5)
        table, rest = nn.Embedding(30, 4, sparse=True), nn.Linear(4, 2)
        balancer = scalarize.Balancer(method, [table.weight])
        optimizer = (torch.optim.SparseAdam if sparse_adam else torch.optim.SGD)([table.weight], lr=0.1)
        for k in range(3):
            ids = torch.randint(0, 30, (2, 6))
            if every_task:
                ids[1] = ids[0]
            first, second = (rest(table(i)) for i in ids)
            optimizer.zero_grad()
            balancer.backward({"a": first.square().mean(), "b": (second * (k + 1)).abs().mean()})
            assert table.weight.grad.is_sparse
            touched = set(table.weight.grad.coalesce().indices()[0].tolist())
            assert touched == set(ids.flatten().tolist())
            optimizer.step()
        return table.weight.detach()

    if chunked:
        weight = nn.Parameter(torch.ones(3, 2))
        one = nn.functional.embedding(torch.tensor([0, 2]), weight, sparse=True).sum()
        with pytest.raises(scalarize.utils.errors.RequestError, match="use chunk=1"):
            scalarize.Balancer("mgda", [weight], chunk=2).backward({"a": one, "b": one * 2})
        return
    assert not torch.equal(train("mgda", True), train("uniform", True))


def test_sparse_and_dense_uses_of_one_table_are_right():
    torch.manual_seed(6)
    table, head = nn.Embedding(12, 4, sparse=True), nn.Embedding(12, 4, sparse=True)
    ids = torch.tensor([1, 5, 5, 7])

    def forward():
        return {"a": table(ids).square().sum() + head(ids).sum(), "b": (table.weight.T.cos()).mean()}

    used = scalarize.Balancer("mgda", table).backward(forward())
    assert head.weight.grad.is_sparse
    assert_right(forward, [table.weight], [head.weight], used)


def net_of_two():
    torch.manual_seed(0)
    encoder, head = (
        nn.Sequential(nn.Linear(6, 8), nn.Tanh()),
        nn.ModuleDict({"a": nn.Linear(8, 1), "b": nn.Linear(8, 1)}),
    )
    x = torch.randn(5, 6)

    def step(method, level):
        z = encoder(x)
        losses = {"a": (head["a"](z) - 1).square().mean(), "b": 3 * (head["b"](z) + 1).square().mean()}
        given = {"representation": z} if level == "representation" else {}
        return scalarize.Balancer(method, shared=encoder.parameters(), level=level).backward(losses, **given)

    return encoder, head, step


ENGINE = [("uniform", "parameters"), ("pcgrad", "parameters"), ("pcgrad", "representation"), ("mgda", "parameters")]


@pytest.mark.parametrize(("method", "level"), ENGINE)
def test_hooks_that_ask_the_engine_where_they_are_fire_as_in_a_plain_backward(method, level):
    encoder, head, step = net_of_two()
    every, fired = [*encoder.parameters(), *head.parameters()], Counter()
    queue = torch.autograd.Variable._execution_engine.queue_callback
    kept = [
        multi(list(encoder.parameters()), lambda _: fired.update(["all"])),
        multi(list(encoder.parameters()), lambda _: fired.update(["any"]), mode="any"),
    ]
    for p in every:
        node = torch.autograd.graph.get_gradient_edge(p).node
        kept += [node, node.register_hook(lambda *_: fired.update(["node"]))]
        p.register_post_accumulate_grad_hook(lambda p: queue(lambda: fired.update(["end"])))
    step(method, level)
    assert fired == {"all": 1, "any": 1, "node": len(every), "end": len(every)}


@pytest.mark.parametrize(("method", "level"), ENGINE)
def test_a_hook_before_a_node_that_accumulates_changes_the_gradient(method, level):
    plain, halved = net_of_two(), net_of_two()
    kept = []
    for p in halved[0].parameters():
        node = torch.autograd.graph.get_gradient_edge(p).node
        kept += [node, node.register_prehook(lambda grads: tuple(g / 2 for g in grads))]
    for _, _, step in (plain, halved):
        step(method, level)
    for p, q in zip(plain[0].parameters(), halved[0].parameters(), strict=True):
        torch.testing.assert_close(q.grad, p.grad / 2)


def test_gradients_that_are_handed_over_are_not_copied_and_share_no_memory():
    params = [nn.Parameter(torch.zeros(3, 4)), nn.Parameter(torch.zeros(12))]
    flat = torch.arange(12.0)
    accumulate(params, [flat.view(3, 4), flat], fresh=False)
    assert len({p.grad.data_ptr() for p in params} | {flat.data_ptr()}) == 3
    other, given = nn.Parameter(torch.zeros(5)), torch.arange(5.0)
    accumulate([other], [given], fresh=True)
    assert other.grad.data_ptr() == given.data_ptr()
    accumulate([other], [torch.ones(5)], fresh=True)
    assert other.grad.tolist() == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("options", [{}, {"level": "representation"}, {"blocks": 2}, {"heads": "weighted"}], ids=str)
@pytest.mark.parametrize("method", ["mgda", "imtl-g", "uniform"])
def test_hooks_on_parameters_fire_once_on_the_whole_gradient(method, options):
    if method == "uniform" and "blocks" in options:
        options = {"heads": "own"}

    def make(hooks):
        torch.manual_seed(7)
        encoder, head = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)), nn.ModuleList([nn.Linear(3, 1)] * 2)
        head[1] = nn.Linear(3, 2)
        calls = []
        for p in [*encoder.parameters(), *head.parameters()] if hooks else []:
            p.register_hook(lambda g: g.clamp(-0.01, 0.01))
            p.register_post_accumulate_grad_hook(lambda p: calls.append((id(p), p.grad.abs().max().item())))
        x = torch.ones(6, 4)
        z = encoder(x)
        losses = {"a": head[0](z).square().mean(), "b": (head[1](z) * 7).exp().mean()}
        used = scalarize.Balancer(method, encoder, **options).backward(losses, representation=z)
        return [*encoder.parameters(), *head.parameters()], calls, used

    plain, _, want = make(False)
    hooked, calls, used = make(True)
    if want.gramian is not None:
        assert torch.equal(used.gramian, want.gramian)
    for p, q in zip(hooked, plain, strict=True):
        assert torch.equal(p.grad, q.grad.clamp(-0.01, 0.01))
    assert sorted(i for i, _ in calls) == sorted(id(p) for p in hooked)
    assert all(size <= 0.01 for _, size in calls)


@pytest.mark.parametrize("level", ["parameters", "representation"])
@pytest.mark.parametrize("method", ["pcgrad", "mgda", "uniform"])
def test_an_optimizer_in_backward_trains_as_one_after_it(method, level):
    def train(inside):
        torch.manual_seed(8)
        encoder, heads = nn.Linear(4, 3), nn.ModuleList([nn.Linear(3, 1), nn.Linear(3, 2)])
        params = [*encoder.parameters(), *heads.parameters()]
        optimizers = {p: torch.optim.Adam([p], lr=0.05) for p in params}

        def act(p):
            optimizers[p].step()
            optimizers[p].zero_grad()

        for p in params if inside else []:
            p.register_post_accumulate_grad_hook(act)
        balancer = scalarize.Balancer(method, encoder, level=level, heads="own")
        x = torch.randn(6, 4)
        for _ in range(3):
            z = encoder(x)
            balancer.backward({"a": heads[0](z).square().mean(), "b": heads[1](z).exp().mean()}, representation=z)
            for p in [] if inside else params:
                act(p)
        return torch.cat([p.detach().flatten() for p in params])

    assert torch.equal(train(True), train(False))


class Symmetric(nn.Module):
    def forward(self, w):
        return w.triu() + w.triu(1).transpose(-1, -2)


def test_parametrized_weights_are_right():
    torch.manual_seed(9)
    encoder = nn.Sequential(orthogonal(nn.Linear(4, 4)), nn.Tanh(), nn.Linear(4, 4))
    parametrize.register_parametrization(encoder[2], "weight", Symmetric())
    heads = nn.ModuleList([nn.Linear(4, 1), nn.Linear(4, 1)])
    x = torch.randn(5, 4)

    def forward():
        z = encoder(x)
        return {"a": heads[0](z).square().mean(), "b": heads[1](z).cos().sum()}

    used = scalarize.Balancer("mgda", encoder.named_parameters()).backward(forward())
    assert_right(forward, encoder.parameters(), heads.parameters(), used)
