"""The inner products of single samples' gradients by one parameter, from one backward for all samples.

A sample's gradient by the weight of a product is the sum of ``d x^T`` over its vectors, so that two samples' inner
product is the sum of ``(x . x')(d . d')`` over pairs of their vectors: for one vector a sample, two matrices of B x B.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from scalarize.balancer.gramian.choice import NUMBER
from scalarize.balancer.gramian.sample_layout import Arrange
from scalarize.balancer.gramian.sample_pieces import SamplePiece


class Found(NamedTuple):
    """One use of a parameter with its output's gradients ``d``, one for each of T tasks, and the samples' layout."""

    piece: SamplePiece
    d: list[Tensor]
    axes: int
    arrange: Arrange


class Part(NamedTuple):
    """The inner products (B T, B T) of the gradients by one parameter, in float64, and a function that makes the sum of
    these gradients with weights (B, T)."""

    products: Tensor
    gradient: Callable[[Tensor], Tensor]


def products_of(param: Tensor, uses: Sequence[Found], n: int, dtype: torch.dtype) -> Part | None:
    """Return the part of ``param`` in the Gramian; None if it cannot be told.

    Args:
        param: the parameter.
        uses: all its uses.
        n: number B of samples.
        dtype: of what is computed.
    """
    n_tasks = len(uses[0].d)
    if any(use.piece.product is not None for use in uses):
        if any(use.piece.product is None for use in uses):
            return None
        return _of_products(param, uses, n, dtype)
    total: Tensor | None = None
    for use in uses:
        rows = _sums(use, n, dtype)
        if rows is None:
            return None
        total = rows if total is None else total + rows
    assert total is not None
    return _by_rows(param, total.reshape(n * n_tasks, -1))


def _sums(use: Found, n: int, dtype: torch.dtype) -> Tensor | None:
    """Return the samples' gradients (B, T, P) by a parameter that is spread over the output; None if it is spread
    differently over samples."""
    dims = use.d[0].ndim
    shape = (1,) * (dims - len(use.piece.shape)) + use.piece.shape
    if len(shape) > dims or any(size != 1 for size in shape[: use.axes]):
        return None
    factor = None if use.piece.factor is None else use.piece.factor().to(dtype)
    parts = []
    for d in use.d:
        whole = d.to(dtype) if factor is None else d.to(dtype) * factor
        axes = [k + 2 for k, size in enumerate(shape[use.axes :]) if size == 1]
        parts.append(use.arrange(whole).sum(dim=[1, *axes]).reshape(n, -1))
    return torch.stack(parts, dim=1)


def _of_products(param: Tensor, uses: Sequence[Found], n: int, dtype: torch.dtype) -> Part | None:
    pairs = [_vectors(use, n, dtype) for use in uses]
    known = [pair for pair in pairs if pair is not None]
    forms = {use.piece.product.form for use in uses if use.piece.product is not None}
    if len(known) < len(pairs) or len(forms) > 1:
        return None
    x = _joined([a for a, _ in known], dim=1)  # (B, S, d_in), or indices (B, S)
    d = _joined([b for _, b in known], dim=2)  # (B, T, S, d_out)
    n_tasks, s, out = d.shape[1:]
    table = x.ndim == 2
    vectors, rows, inside, size = n * s, n * n_tasks, 1 if table else x.shape[2], param.numel()
    by_pairs = 2.0 * vectors**2 * (inside + n_tasks**2 * out) + NUMBER * vectors**2 * (1 + n_tasks**2) * (s > 1)
    made = 0.0 if table else 2.0 * n_tasks * vectors * inside * out
    if by_pairs <= made + NUMBER * rows * size + 2.0 * rows**2 * size:
        return _by_pairs(param, x, d, next(iter(forms)))
    if table:
        places = x[:, None, :, None].expand(-1, n_tasks, -1, out)
        grads = torch.zeros(n, n_tasks, len(param), out, dtype=dtype, device=d.device).scatter_add_(2, places, d)
    elif "in-out" in forms:
        grads = torch.matmul(x[:, None].transpose(2, 3), d)  # (B, T, d_in, d_out)
    else:
        grads = torch.matmul(d.transpose(2, 3), x[:, None])
    grads = grads.reshape(rows, -1)
    if s > 32:  # of many vectors the sum is dearer than that of gradients that are there
        return _by_rows(param, grads)
    return Part((grads @ grads.T).double(), _of_vectors(param, x, d, next(iter(forms))))


def _by_rows(param: Tensor, rows: Tensor) -> Part:
    """Return the part of ``param`` from the gradients themselves (B T, P)."""
    return Part((rows @ rows.T).double(), lambda weights: (weights.to(rows).reshape(-1) @ rows).view(param.shape))


def _by_pairs(param: Tensor, x: Tensor, d: Tensor, form: str) -> Part:
    """Return the part of ``param`` from all pairs of vectors."""
    n, n_tasks, s, out = d.shape
    flat = x.reshape(n * s, -1)
    alike = (flat == flat.T).to(d) if form == "table" else flat @ flat.T
    ends = d.reshape(n * n_tasks * s, out)
    products = _block_sums(alike, ends @ ends.T, n, n_tasks, s)

    return Part(products.double(), _of_vectors(param, x, d, form))


def _of_vectors(param: Tensor, x: Tensor, d: Tensor, form: str) -> Callable[[Tensor], Tensor]:
    """Return the function that makes the weighted sum from what came in and the gradients by what went out."""
    n, n_tasks, s, out = d.shape

    def gradient(weights: Tensor) -> Tensor:
        by = weights.to(d)
        each = d[:, 0] * by[:, :, None] if n_tasks == 1 else torch.einsum("bt,btso->bso", by, d)
        total, flat = each.reshape(n * s, out), x.reshape(n * s, -1)
        if form == "table":
            whole: Tensor = torch.ops.aten.embedding_dense_backward(total, flat.flatten(), len(param), -1, False)
            return whole
        return (total.T @ flat if form == "out-in" else flat.T @ total).view(param.shape)

    return gradient


def _block_sums(alike: Tensor, ends: Tensor, n: int, n_tasks: int, s: int) -> Tensor:
    """Return the sums over pairs of vectors of ``alike`` (B S, B S) times ``ends`` (B T S, B T S)."""
    both = alike.view(n, 1, s, n, 1, s) * ends.view(n, n_tasks, s, n, n_tasks, s)
    if s == 1:
        return both.reshape(n * n_tasks, n * n_tasks)
    return both.reshape(n * n_tasks, s, n * n_tasks, s).sum(dim=(1, 3))


def _vectors(use: Found, n: int, dtype: torch.dtype) -> tuple[Tensor, Tensor] | None:
    """Return what came in (B, S, d_in), or indices (B, S), and the gradients by what went out (B, T, S, d_out)."""
    piece = use.piece.product
    assert piece is not None
    read = piece.read().detach()
    table = not read.is_floating_point()
    if use.d[0].ndim == 2 and len(read) == len(use.d[0]):
        x = use.arrange(read)
        d = [use.arrange(piece.flatten(g)) for g in use.d]
    elif use.axes > 1 or not _in_order(use):
        return None
    else:
        x = read.reshape(n, -1) if table else read.reshape(n, -1, piece.inside)
        d = [piece.flatten(g).reshape(n, -1, piece.out) for g in use.d]
    each = [g.to(dtype)[:, None] for g in d]
    return (x if table else x.to(dtype)), _joined(each, dim=1)


def _joined(parts: Sequence[Tensor], dim: int) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(list(parts), dim=dim)


def _in_order(use: Found) -> bool:
    """Return True if samples lie one after the other."""
    places = torch.arange(len(use.d[0]))
    return torch.equal(use.arrange(places).reshape(-1), places)
