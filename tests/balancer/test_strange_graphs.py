"""Graphs that allow one backward only, or write gradients themselves; what is not the model's; calls in compiled code.

Each is right, or refused in one line with ``.grad`` as it was.
"""

from __future__ import annotations

import functools
import sys

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations
from torch.utils.checkpoint import CheckpointPolicy, checkpoint, create_selective_checkpoint_contexts

import scalarize
from balancer_truth import assert_right
from scalarize.utils.errors import RequestError


class Checkpoint(torch.autograd.Function):
    """As libraries make it that are older than torch's own: parameters get their gradients in a backward within."""

    @staticmethod
    def forward(ctx, run, anchor, x):
        ctx.run = run
        ctx.save_for_backward(x)
        with torch.no_grad():
            return run(x)

    @staticmethod
    def backward(ctx, g):
        x = ctx.saved_tensors[0].detach().requires_grad_()
        with torch.enable_grad():
            torch.autograd.backward(ctx.run(x), g)
        return None, None, x.grad


class HonestCheckpoint(Checkpoint):
    """One that looks at the way in which it is called."""

    @staticmethod
    def backward(ctx, g):
        if not torch.autograd._is_checkpoint_valid():
            raise RuntimeError("Checkpointing is not compatible with .grad(), please use .backward() if possible")
        return Checkpoint.backward(ctx, g)


class SquareOnce(torch.autograd.Function):
    """Gives its memory back at the first backward."""

    @staticmethod
    def forward(ctx, x):
        ctx.x = x.detach()
        return x * x

    @staticmethod
    def backward(ctx, g):
        x = ctx.x
        del ctx.x
        return 2 * x * g


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(2)
        self.first, self.second = nn.Linear(5, 7), nn.Linear(7, 3)
        self.heads = nn.ModuleDict({"far": nn.Linear(3, 1), "near": nn.Linear(3, 2)})
        self.x = torch.randn(8, 5)
        self.anchor = torch.zeros(1, requires_grad=True)
        self.kind = "plain"

    @property
    def shared(self):
        return [*self.first.parameters(), *self.second.parameters()]

    def encode(self):
        def whole(x):
            return self.second(self.first(x).tanh())

        if self.kind == "plain":
            return whole(self.x)
        if self.kind == "selective":
            context = functools.partial(
                create_selective_checkpoint_contexts, lambda *_, **__: CheckpointPolicy.MUST_SAVE
            )
            return checkpoint(whole, self.x, use_reentrant=False, context_fn=context)
        if self.kind == "part":
            return Checkpoint.apply(self.second, self.anchor, self.first(self.x).tanh())
        if self.kind == "once":
            return SquareOnce.apply(whole(self.x))
        return {"whole": Checkpoint, "honest": HonestCheckpoint}[self.kind].apply(whole, self.anchor, self.x)

    def losses(self, z):
        return {"far": 9 * (self.heads["far"](z) - 4).square().mean(), "near": (self.heads["near"](z)).square().mean()}


ONE_BACKWARD = {
    "selective": "selective checkpointing",
    "honest": "another library|writes gradients of parameters within",
    "once": "does not give gradients of single tasks",
    "whole": "Checkpoint writes gradients of parameters within its backward",
    "part": "Checkpoint writes gradients of parameters within its backward",
}


@pytest.mark.parametrize("kind", ONE_BACKWARD)
@pytest.mark.parametrize("method", ["mgda", "nash-mtl"])
def test_such_an_encoder_is_refused_at_parameter_level_with_grad_as_it_was(method, kind):
    net = Net()
    net.kind = kind
    before = {}
    for k, p in enumerate(net.shared[:2]):
        p.grad = before[k] = torch.ones_like(p)
    with pytest.raises(RequestError, match=ONE_BACKWARD[kind]) as error:
        scalarize.Balancer(method, net.shared).backward(net.losses(net.encode()))
    assert "\n" not in str(error.value)
    assert all(p.grad is before.get(k) for k, p in enumerate(net.parameters()))
    assert all(bool((g == 1).all()) for g in before.values())


@pytest.mark.parametrize("kind", ONE_BACKWARD)
def test_such_an_encoder_is_right_at_representation_level(kind):
    net = Net()
    net.kind = kind
    z = net.encode()
    used = scalarize.Balancer("mgda", net.shared, level="representation").backward(net.losses(z), representation=z)
    net.kind = "plain" if kind != "once" else "once"
    assert_right(lambda: net.losses(net.encode()), net.shared, net.heads.parameters(), used)


@pytest.mark.parametrize("kind", ONE_BACKWARD)
def test_a_method_of_losses_is_right(kind):
    net = Net()
    net.kind = kind
    used = scalarize.Balancer("uniform", net.shared).backward(net.losses(net.encode()))
    net.kind = "plain" if kind != "once" else "once"
    assert_right(lambda: net.losses(net.encode()), net.shared, net.heads.parameters(), used, head_weights=used.weights)


def test_heads_apart_need_a_backward_more_so_a_hidden_write_is_refused():
    net = Net()
    net.kind = "part"
    with pytest.raises(RequestError, match="writes gradients"):
        scalarize.Balancer("uniform", net.shared, heads="own").backward(net.losses(net.encode()))
    assert all(p.grad is None for p in net.parameters())


def test_a_graph_that_was_used_up_is_refused_in_one_line():
    net = Net()
    losses = net.losses(net.encode())
    sum(losses.values()).backward()
    for method in ("uniform", "mgda"):
        with pytest.raises(RequestError, match="fresh forward"):
            scalarize.Balancer(method, net.shared).backward(losses)


# --- what is not the model's -------------------------------------------------------------------------------------
def swap(net):
    net.first = nn.Linear(5, 7)


@pytest.mark.parametrize("change", [swap, lambda net: parametrizations.weight_norm(net.first)], ids=["swap", "norm"])
@pytest.mark.parametrize(
    "options", [{"method": "mgda"}, {"method": "pcgrad"}, {"method": "uniform", "heads": "own"}], ids=str
)
def test_parameters_that_were_taken_out_of_the_model_are_refused(options, change):
    net = Net()
    balancer = scalarize.Balancer(shared=net.shared, **options)
    change(net)
    with pytest.raises(RequestError, match="was the model changed"):
        balancer.backward(net.losses(net.encode()))
    assert all(p.grad is None for p in net.parameters())


def test_unused_layers_that_are_still_in_the_model_are_no_reason_to_refuse():
    net = Net()
    net.unused = nn.Linear(3, 3)
    balancer = scalarize.Balancer("mgda", [*net.second.parameters(), *net.unused.parameters()])
    with pytest.warns(UserWarning, match="reached by no loss"):
        balancer.backward(net.losses(net.encode()))
    assert net.unused.weight.grad is None
    assert net.second.weight.grad is not None


def test_computed_tensors_and_empty_iterators_are_no_shared_parameters():
    net = Net()
    parametrizations.weight_norm(net.first)
    with pytest.raises(RequestError, match="was computed"):
        scalarize.Balancer("mgda", [net.first.weight, net.first.bias])
    params = net.second.parameters()
    torch.optim.SGD(params, lr=0.1)
    for method in ("uniform", "mgda"):
        with pytest.raises(RequestError, match="read before"):
            scalarize.Balancer(method, params, heads="own")


def test_a_representation_may_be_a_single_number():
    net = Net()

    def losses(z):
        return {"far": (z - 4) ** 2, "near": 3 * (z + 1) ** 2}

    z = net.encode().mean()
    used = scalarize.Balancer("mgda", net.shared, level="representation").backward(losses(z), representation=z)
    assert_right(lambda: losses(net.encode().mean()), net.shared, [], used)


# --- calls in compiled code --------------------------------------------------------------------------------------
@pytest.mark.skipif(sys.platform == "win32", reason="torch.compile")
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # of torch's tracer
@pytest.mark.parametrize("method", ["uniform", "mgda", "nash-mtl"])
def test_backward_within_a_compiled_step(method):
    net = Net()
    balancer = scalarize.Balancer(method, net.shared)

    @torch.compile(backend="aot_eager")
    def step():
        return balancer.backward(net.losses(net.encode()))

    for _ in range(2):
        net.zero_grad()
        used = step()
        head_weights = used.weights if balancer.heads == "weighted" else None
        assert_right(
            lambda: net.losses(net.encode()), net.shared, net.heads.parameters(), used, head_weights=head_weights
        )


# --- losses with cached gradients ----------------------------------------------------------------------------------


def with_cached_loss(enc, head, x):
    """Losses of two tasks, the first a leaf whose hook makes the backward (sentence-transformers' Cached losses)."""
    z = enc(x)
    held = z.detach().requires_grad_()
    loss = (held - 1).square().mean()
    (g,) = torch.autograd.grad(loss, held)
    leaf = loss.detach().requires_grad_()

    def hook(scale):
        with torch.enable_grad():
            (scale * (enc(x) * g).sum()).backward()

    leaf.register_hook(hook)
    return {"a": leaf, "b": (head(z) + 1).square().mean()}, z


@pytest.mark.parametrize("order", ["ab", "ba"])
@pytest.mark.parametrize(
    ("method", "options"),
    [("pcgrad", {}), ("mgda", {"level": "representation"}), ("uniform", {"heads": "own"}), ("mgda", {"blocks": 2})],
)
def test_a_loss_that_makes_its_own_backward_is_refused_where_tasks_are_taken_apart(method, options, order):
    torch.manual_seed(0)
    enc, head, x = nn.Linear(6, 4), nn.Linear(4, 1), torch.randn(8, 6)
    balancer = scalarize.Balancer(method, shared=enc.parameters(), **options)
    losses, z = with_cached_loss(enc, head, x)
    given = {"representation": z} if options.get("level") else {}
    with pytest.raises(RequestError, match="makes its backward in a hook of its own"):
        balancer.backward({t: losses[t] for t in order}, **given)
    assert all(p.grad is None for p in [*enc.parameters(), *head.parameters()])


@pytest.mark.parametrize("order", ["a", "ab", "ba"])
def test_a_loss_that_makes_its_own_backward_is_weighted(order):
    torch.manual_seed(0)
    enc, head, x = nn.Linear(6, 4), nn.Linear(4, 1), torch.randn(8, 6)
    losses, _ = with_cached_loss(enc, head, x)
    used = scalarize.Balancer("uniform", shared=enc.parameters(), tasks=list("ab")).backward(
        {t: losses[t] for t in order}
    )
    weight = dict(zip(used.tasks, used.weights.tolist(), strict=True))
    z = enc(x)
    plain = {"a": (z - 1).square().mean(), "b": (head(z) + 1).square().mean()}
    wanted = torch.autograd.grad(sum(weight[t] * plain[t] for t in order), list(enc.parameters()))
    for p, g in zip(enc.parameters(), wanted, strict=True):
        torch.testing.assert_close(p.grad, g)


# --- functions whose gradients do not add up ------------------------------------------------------------------------


class AddsAuxiliary(torch.autograd.Function):
    """As mixtures of experts add the loss of their router, which no task's loss holds."""

    @staticmethod
    def forward(ctx, x, auxiliary):
        return x.clone()

    @staticmethod
    def backward(ctx, g):
        return g, torch.ones(())


class ScalesWhatItKept(torch.autograd.Function):
    """A fused loss that keeps its gradient itself and scales it in place."""

    @staticmethod
    def forward(ctx, x):
        ctx.made = 2 * x.detach() / x.numel()
        return x.detach().square().mean()

    @staticmethod
    def backward(ctx, g):
        return ctx.made.mul_(g)


def experts():
    torch.manual_seed(0)
    net = nn.ModuleDict({"enc": nn.Linear(6, 8), "router": nn.Linear(8, 4), "a": nn.Linear(8, 1), "b": nn.Linear(8, 1)})
    x = torch.randn(8, 6)

    def forward():
        z = net["enc"](x).tanh()
        z = AddsAuxiliary.apply(z, 4 * net["router"](z.detach()).softmax(-1).mean(0).square().sum())
        return {"a": (net["a"](z) - 1).square().mean(), "b": (net["b"](z) + 1).square().mean()}, z

    return net, forward


def test_a_loss_that_a_function_adds_is_counted_once_or_refused():
    wanted = None
    for method, options in (("uniform", {}), ("pcgrad", {"level": "representation"}), ("mgda", {})):
        net, forward = experts()
        losses, z = forward()
        balancer = scalarize.Balancer(method, shared=net["enc"].parameters(), **options)
        before = torch.get_rng_state()
        if method == "mgda":
            for again in (losses, forward()[0]):  # refused as often as it is asked
                with pytest.raises(RequestError, match="AddsAuxiliary adds a gradient of its own"):
                    balancer.backward(again)
            assert torch.equal(torch.get_rng_state(), before)
            assert all(p.grad is None for p in net.parameters())
            continue
        balancer.backward(losses, **({"representation": z} if options else {}))
        wanted = net["router"].weight.grad if wanted is None else wanted
        torch.testing.assert_close(net["router"].weight.grad, wanted)


@pytest.mark.parametrize("scale", [1.0, 64.0])
@pytest.mark.parametrize(
    ("method", "options", "right"),
    [
        ("mgda", {}, True),
        ("pcgrad", {}, True),
        ("uniform", {}, True),
        ("mgda", {"level": "representation"}, False),
        ("uniform", {"heads": "own"}, False),
        ("mgda", {"blocks": 2}, False),
    ],
)
def test_a_function_that_scales_what_it_kept_is_right_once_and_refused_twice(method, options, right, scale):
    torch.manual_seed(0)
    enc, head, x = nn.Linear(6, 4), nn.Linear(4, 1), torch.randn(8, 6)

    def forward(fused=True):
        z = enc(x)
        first = ScalesWhatItKept.apply(z) if fused else z.square().mean()
        return {"a": first / 2, "b": (head(z) + 1).square().mean()}, z

    losses, z = forward()
    given = {"representation": z} if options.get("level") else {}
    if scale > 1:
        given["scaler"] = torch.amp.GradScaler("cpu", init_scale=scale)
    balancer = scalarize.Balancer(method, shared=enc.parameters(), **options)
    if not right:
        with pytest.raises(RequestError, match="ScalesWhatItKept gives another gradient"):
            balancer.backward(losses, **given)
        return
    balancer.backward(losses, **given)
    plain = scalarize.Balancer(method, shared=enc.parameters(), **options)
    found = [p.grad / scale for p in enc.parameters()]
    enc.zero_grad()
    plain.backward(forward(False)[0])
    for g, p in zip(found, enc.parameters(), strict=True):
        torch.testing.assert_close(g, p.grad)


def test_a_function_is_tried_once_and_only_if_several_backwards_pass_it():
    calls = []

    class Counted(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, g):
            calls.append(float(g.abs().sum()))
            return g

    enc, heads, x = nn.Linear(6, 4), nn.ModuleDict({t: nn.Linear(4, 1) for t in "ab"}), torch.randn(8, 6)
    balancer = scalarize.Balancer("mgda", shared=enc.parameters())
    for own, expected in ((True, 1), (False, 2 + 3), (False, 2)):  # of one task; of both, for the first time; again
        calls.clear()
        z = enc(x) if own else Counted.apply(enc(x))
        a = Counted.apply(z) if own else z
        balancer.backward({"a": heads["a"](a).square().mean(), "b": (heads["b"](z) + 1).square().mean()})
        assert len(calls) == expected


class Looked(torch.autograd.Function):
    """A table whose gradient is sparse."""

    @staticmethod
    def forward(ctx, table, places):
        ctx.save_for_backward(places)
        ctx.shape = table.shape
        return table[places]

    @staticmethod
    def backward(ctx, g):
        (places,) = ctx.saved_tensors
        return torch.sparse_coo_tensor(places[None], g, ctx.shape), None


def test_a_function_with_a_sparse_gradient_is_right():
    torch.manual_seed(0)
    table, heads = nn.Parameter(torch.randn(9, 4)), nn.ModuleDict({t: nn.Linear(4, 1) for t in "ab"})
    places = torch.tensor([1, 3, 3, 7])

    def forward():
        z = Looked.apply(table, places)
        return {"a": heads["a"](z).square().mean(), "b": (heads["b"](z) + 1).square().mean()}

    used = scalarize.Balancer("mgda", shared=[table]).backward(forward())
    assert_right(forward, [table], heads.parameters(), used)
