"""At representation level one backward gives all tasks' gradients if each loss reads the representation by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from scalarize import Balancer
from scalarize.balancer import fan_out

Losses = Callable[[Tensor], dict[str, Tensor]]
TASKS = ("a", "b", "c")


def setting(seed: int = 0, dtype: torch.dtype = torch.float64) -> tuple[nn.Module, nn.ModuleDict, Tensor]:
    torch.manual_seed(seed)
    encoder = nn.Sequential(nn.Linear(3, 6), nn.Tanh(), nn.Linear(6, 4), nn.Tanh()).to(dtype)
    heads = nn.ModuleDict({t: nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2)) for t in TASKS}).to(dtype)
    return encoder, heads, torch.randn(8, 3, dtype=dtype)


def plain(heads: nn.ModuleDict) -> Losses:
    return lambda z: {t: head(z).square().mean() for t, head in heads.items()}


def several_times(heads: nn.ModuleDict) -> Losses:
    return lambda z: {t: head(z).square().mean() + (head(z) * z[:, :2]).sum() + z.mean() for t, head in heads.items()}


def in_parts(heads: nn.ModuleDict) -> Losses:
    """Rows of a task's own, a transposed view, a broadcast, a loss of one sample."""
    weight = torch.linspace(0, 1, 4, dtype=torch.float64)
    return lambda z: {
        "a": heads["a"](z[:3]).square().mean(),
        "b": functional.smooth_l1_loss(z.T @ z, torch.zeros(4, 4, dtype=z.dtype)),
        "c": (z[5] * weight + z.new_zeros(7, 1)).pow(3).mean() + z.reshape(-1)[3],
    }


def with_constant(heads: nn.ModuleDict) -> Losses:
    return lambda z: {"a": heads["a"](z).square().mean(), "b": torch.tensor(2.0, dtype=z.dtype), "c": z.sum()}


def past(heads: nn.ModuleDict) -> Losses:
    """A loss that does not read the representation at all has a gradient of 0 there."""
    extra = next(heads["b"].parameters())
    return lambda z: {"a": heads["a"](z).square().mean(), "b": extra.square().sum(), "c": heads["c"](z).mean()}


KINDS = {f.__name__: f for f in (plain, several_times, in_parts, with_constant, past)}


def step(kind: str, method: str, **options: Any) -> tuple[list[Any], list[Tensor | None]]:
    encoder, heads, x = setting()
    balancer = Balancer(method, encoder, level="representation", tasks=TASKS)
    z = encoder(x)
    used = balancer.backward(KINDS[kind](heads)(z), representation=z, **options)
    return [used.weights, used.gramian], [p.grad for p in [*encoder.parameters(), *heads.parameters()]]


@pytest.mark.filterwarnings("ignore:the gradient of task")
@pytest.mark.parametrize("method", ["mgda", "pcgrad", "imtl-g", "cagrad"])
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_the_backward_of_each_loss(kind: str, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    used, grads = step(kind, method)
    monkeypatch.setattr(fan_out, "find", lambda *_: None)
    twins, expected = step(kind, method)
    for a, b in zip([*used, *grads], [*twins, *expected], strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14, equal_nan=True)


@pytest.mark.parametrize("kind", KINDS)
def test_it_runs_one_backward_of_the_heads(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    found = torch.autograd.grad
    monkeypatch.setattr(torch.autograd, "grad", lambda *a, **k: calls.append(1) or found(*a, **k))
    with pytest.MonkeyPatch.context() as quiet:
        quiet.setattr("warnings.warn", lambda *a, **k: None)
        step(kind, "mgda")
    assert len(calls) == 1


def test_losses_that_meet_before_the_representation_are_taken_one_by_one() -> None:
    encoder, heads, x = setting()
    z = encoder(x).detach().requires_grad_()
    trunk = z.tanh()
    assert fan_out.find([head(trunk).mean() for head in heads.values()], z) is None
    assert fan_out.find([head(z).mean() for head in heads.values()][:1] * 2, z) is None  # the same loss twice
    shared = heads["a"](z)
    assert fan_out.find([shared.mean(), shared.square().mean()], z) is None


@pytest.mark.parametrize("head", ["trunk", "chunk", "function", "same"])
def test_other_graphs_are_right_as_well(head: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Twice(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return 2 * x

        @staticmethod
        def backward(ctx: Any, grad: Tensor) -> Tensor:
            return 2 * grad

    def run() -> list[Tensor | None]:
        encoder, heads, x = setting()
        h = encoder(x)
        z = h.chunk(2, dim=0)[0] if head == "chunk" else h
        read = {"trunk": z.tanh(), "function": Twice.apply(z)}.get(head, z)
        losses = {
            t: (heads["a"] if head == "same" else heads[t])(read).square().mean() * (k + 1) for k, t in enumerate(TASKS)
        }
        Balancer("mgda", encoder, level="representation").backward(losses, representation=z)
        return [p.grad for p in [*encoder.parameters(), *heads.parameters()]]

    ours = run()
    monkeypatch.setattr(fan_out, "find", lambda *_: None)
    for a, b in zip(ours, run(), strict=True):
        assert (a is None) == (b is None)
        if a is not None and b is not None:
            torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_it_takes_a_scaler_and_lower_precision(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    def run() -> list[Tensor | None]:
        encoder, heads, x = setting(dtype=torch.float32)
        scaler = torch.amp.GradScaler("cpu", init_scale=16.0)
        balancer = Balancer("mgda", encoder, level="representation")
        with torch.autocast("cpu", dtype):
            z = encoder(x)
            losses = plain(heads)(z)
        balancer.backward(losses, representation=z, scaler=scaler)
        return [p.grad for p in [*encoder.parameters(), *heads.parameters()]]

    ours = run()
    monkeypatch.setattr(fan_out, "find", lambda *_: None)
    for a, b in zip(ours, run(), strict=True):
        assert a is not None
        assert b is not None
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("seed", range(10))
def test_gradients_arrive_once_for_each_reader(seed: int) -> None:
    """A fuzz: each loss reads the representation some times, in some order of tasks."""
    g = torch.Generator().manual_seed(seed)
    encoder, _, x = setting(seed)
    z = encoder(x)
    maps = torch.randn(5, 4, 4, 4, generator=g, dtype=torch.float64).requires_grad_()
    parts = [list(maps[t].unbind()) for t in range(5)]
    leaves = [[m.detach().requires_grad_() for m in own] for own in parts]
    times = torch.randint(0, 4, (5,), generator=g).tolist()
    losses = [
        torch.stack([(z @ leaves[t][k]).tanh().pow(2).mean() for k in range(n)] or [leaves[t][0].sum()]).sum()
        for t, n in enumerate(times)
    ]
    twins = [
        torch.autograd.grad(x, [z, leaves[t][0]], retain_graph=True, allow_unused=True) for t, x in enumerate(losses)
    ]
    fan = fan_out.find(losses, z)
    assert fan is not None
    assert [len(reads) for reads in fan.readers] == times
    arrived = torch.zeros(5, *z.shape, dtype=torch.float64)
    scales = torch.rand(5, generator=g, dtype=torch.float64)
    own = fan_out.backward(fan, losses, z, scales, lambda t, found: arrived[t].add_(found))
    for t, (to_z, to_leaf) in enumerate(twins):
        expected = torch.zeros_like(z) if to_z is None else scales[t] * to_z
        torch.testing.assert_close(arrived[t], expected, rtol=1e-12, atol=1e-14)
        at = next(k for k, leaf in enumerate(fan.own[t]) if leaf is leaves[t][0])
        torch.testing.assert_close(own[t][at], scales[t] * to_leaf, rtol=1e-12, atol=1e-14)
