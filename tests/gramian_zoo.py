"""Encoders in which a weight is used in every way that is known, and in ways that are not; and the slow twin."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm
from torch.utils.checkpoint import checkpoint

N_TASKS = 4


def rows(losses: Sequence[Tensor], params: Sequence[Tensor]) -> Tensor:
    """The Jacobian (T, P) in float64, one ``autograd.grad`` a task: what everything is held against."""
    found = []
    for loss in losses:
        grads = torch.autograd.grad(loss, params, retain_graph=True, allow_unused=True)
        dense = [torch.zeros_like(p) if g is None else g.to_dense() for p, g in zip(params, grads, strict=True)]
        found.append(torch.cat([g.reshape(-1).double() for g in dense]))
    return torch.stack(found)


def written(params: Sequence[Tensor]) -> Tensor:
    """``.grad`` of all ``params`` in a row."""
    grads = [torch.zeros_like(p) if p.grad is None else p.grad.to_dense() for p in params]
    return torch.cat([g.reshape(-1).double() for g in grads])


class Of(nn.Module):
    """A module whose forward is a function of its parts and the input."""

    def __init__(self, run: Callable[..., Tensor], **parts: nn.Module) -> None:
        super().__init__()
        self.run = run
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, x: Tensor) -> Tensor:
        return self.run(self, x)


class Parameters(nn.Module):
    def __init__(self, *shapes: tuple[int, ...]) -> None:
        super().__init__()
        self.w = nn.ParameterList([torch.randn(*shape) * 0.3 for shape in shapes])


def images(*size: int) -> Tensor:
    return torch.randn(3, 4, *size)


def indices() -> Tensor:
    return torch.randint(0, 7, (3, 5))


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 7, bias=False), nn.Tanh(), nn.Linear(7, 5))


def attention(query: str) -> nn.Module:
    def run(m: Of, x: Tensor) -> Tensor:
        q = m.q(x) if query == "cross" else x
        return m.norm(x + m.attention(q, x, x)[0])

    return Of(run, attention=nn.MultiheadAttention(6, 2, batch_first=True), norm=nn.LayerNorm(6), q=nn.Linear(6, 6))


def norms() -> nn.Module:
    parts = [nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 6, 3), nn.GroupNorm(2, 6), nn.Flatten()]
    return nn.Sequential(*parts, nn.LayerNorm(96), nn.Linear(96, 5), nn.BatchNorm1d(5))


def checkpointed() -> nn.Module:
    def run(m: Of, x: Tensor) -> Tensor:
        return m.last(checkpoint(m.inner, m.first(x), use_reentrant=False))

    return Of(run, first=nn.Linear(6, 6), inner=mlp(), last=nn.Linear(5, 5))


def tied(m: Of, x: Tensor) -> Tensor:
    return m.table(x) @ m.table.weight.T


def functional_use(m: Of, x: Tensor) -> Tensor:
    return m.linear(x) + functional.linear(x.tanh(), m.linear.weight) + x @ m.p.w[0].T


def views(m: Of, x: Tensor) -> Tensor:
    return functional.linear(x, m.linear.weight[:3]) + x[..., :3] * m.linear.bias[:3]


def in_place(m: Of, x: Tensor) -> Tensor:
    z = m.linear(x)
    z[:, 0] += 1.0
    return functional.relu(z, inplace=True)


def in_out(m: Of, x: Tensor) -> Tensor:
    return torch.addmm(m.p.w[0], x, m.p.w[1])


def scaled(m: Of, x: Tensor) -> Tensor:
    return torch.addmm(m.p.w[0], x, m.p.w[1], alpha=2.0)


def complex_product(m: Of, x: Tensor) -> Tensor:
    wide = torch.complex(x, -x)
    return (wide @ m.p.w[0].to(wide.dtype)).abs()


def bag(mode: str) -> nn.Module:
    return nn.EmbeddingBag(7, 5, mode=mode, padding_idx=2)


def weighted_bag(m: Of, x: Tensor) -> Tensor:
    return m.bag(x, per_sample_weights=m.p.w[0].expand_as(x).contiguous())


def random() -> Tensor:
    return torch.randn(3, 6)


def sequence() -> Tensor:
    return torch.randn(3, 5, 6)


Case = tuple[Callable[[], nn.Module], Callable[[], Tensor], int]
# Name -> encoder, input, and the number of its weights that are held as layers: what is fewer fell back to gradients.
ZOO: dict[str, Case] = {
    "linear": (mlp, random, 3),
    "linear, sequence": (mlp, sequence, 3),
    "linear, in-out": (
        lambda: Of(lambda m, x: torch.addmm(m.p.w[1], x, m.p.w[0]), p=Parameters((6, 5), (5,))),
        random,
        1,
    ),
    "linear, used twice": (lambda: Of(lambda m, x: m.a(m.a(x).tanh()), a=nn.Linear(6, 6)), random, 1),
    "linear, a functional use": (
        lambda: Of(functional_use, linear=nn.Linear(6, 6, bias=False), p=Parameters((6, 6))),
        random,
        2,
    ),
    "linear, parts of it": (lambda: Of(views, linear=nn.Linear(6, 6)), random, 0),
    "linear, scaled product": (lambda: Of(scaled, p=Parameters((5,), (6, 5))), random, 0),
    "linear, complex": (lambda: Of(complex_product, p=Parameters((6, 5))), random, 0),
    "linear, in place": (lambda: Of(in_place, linear=nn.Linear(6, 5)), random, 1),
    "weight norm": (lambda: nn.Sequential(weight_norm(nn.Linear(6, 6)), nn.Tanh(), nn.Linear(6, 5)), random, 1),
    "bilinear": (lambda: Of(lambda m, x: m.b(x, x.tanh()), b=nn.Bilinear(6, 6, 5)), random, 0),
    "convolution, 1": (lambda: nn.Sequential(nn.Conv1d(4, 5, 3, stride=2, padding=1), nn.GELU()), lambda: images(9), 1),
    "convolution, 2": (
        lambda: nn.Sequential(nn.Conv2d(4, 5, (3, 2), (2, 1), (1, 2), (1, 2)), nn.GELU(), nn.Conv2d(5, 3, 1)),
        lambda: images(7, 8),
        2,
    ),
    "convolution, 3": (lambda: nn.Conv3d(4, 3, (1, 2, 3), padding=(0, 1, 1)), lambda: images(3, 4, 5), 1),
    "convolution, same": (lambda: nn.Conv2d(4, 3, 3, padding="same", bias=False), lambda: images(5, 5), 1),
    "convolution, groups": (
        lambda: nn.Sequential(nn.Conv2d(4, 6, 3, groups=2), nn.Conv2d(6, 2, 2)),
        lambda: images(6, 6),
        1,
    ),
    "convolution, transposed": (lambda: nn.ConvTranspose2d(4, 2, 3), lambda: images(4, 4), 0),
    "convolution, used twice": (
        lambda: Of(lambda m, x: m.c(m.c(x)[..., ::2]), c=nn.Conv1d(4, 4, 3)),
        lambda: images(12),
        1,
    ),
    "embedding": (lambda: nn.Sequential(nn.Embedding(7, 6, padding_idx=2), nn.Linear(6, 5)), indices, 2),
    "embedding, sparse": (lambda: nn.Sequential(nn.Embedding(7, 6, sparse=True), nn.Linear(6, 5)), indices, 2),
    "embedding, by frequency": (lambda: nn.Embedding(7, 5, scale_grad_by_freq=True), indices, 0),
    "embedding, tied to a product": (lambda: Of(tied, table=nn.Embedding(7, 6)), indices, 0),
    "embedding bag, sum": (lambda: bag("sum"), indices, 1),
    "embedding bag, mean": (lambda: bag("mean"), indices, 1),
    "embedding bag, max": (lambda: bag("max"), indices, 0),
    "embedding bag, weighted": (
        lambda: Of(weighted_bag, bag=nn.EmbeddingBag(7, 5, mode="sum"), p=Parameters((5,))),
        indices,
        1,
    ),
    "norms": (norms, lambda: images(8, 8), 3),
    "attention, self": (lambda: attention("self"), sequence, 2),
    "attention, cross": (lambda: attention("cross"), sequence, 2),
    "recurrent": (lambda: Of(lambda m, x: m.rnn(x)[0], rnn=nn.GRU(6, 5, batch_first=True)), sequence, 2),
    "dropout": (lambda: nn.Sequential(nn.Linear(6, 9), nn.Dropout(0.5), nn.Linear(9, 5)), random, 2),
    "checkpoint": (checkpointed, random, 2),
}
