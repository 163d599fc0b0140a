"""Uses of a weight as a product of matrices or a look-up, read from the node of the graph that made it.

A product's weight gradient is ``D^T X``: X (N, d_in) holds the vectors that came in, D (N, d_out) the gradient by those
that went out. A convolution is such a product with the patches of its input; a look-up has an index instead of X.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from scalarize.balancer.gramian.uses import Use


@dataclass(frozen=True)
class Piece:
    """One use of a weight.

    Args:
        node: the node of the graph; its only output is the use's.
        n: number N of vectors.
        inside: d_in of a product; number of rows in the table of a look-up.
        out: d_out.
        form: ``"out-in"`` if the weight is (d_out, d_in, ...), ``"in-out"`` if (d_in, d_out), ``"table"`` of a look-up.
        read: gives X (N, d_in) or (B, N / B, d_in), or the indices (N,) of a look-up, from what the node saved.
        flatten: turns the gradient by the output into D (N, d_out) or (B, N / B, d_out).
        sparse: the gradient of a table is to be sparse.
    """

    node: Any
    n: int
    inside: int
    out: int
    form: str
    read: Callable[[], Tensor]
    flatten: Callable[[Tensor], Tensor]
    sparse: bool = False


def piece(use: Use) -> Piece | None:
    """Return the piece of ``use``; None if it is none of those known here, or if what the node saved is not at hand
    (a checkpoint makes it anew, other hooks fetch it from elsewhere)."""
    reader = READERS.get((type(use.node).__name__, use.place))
    if reader is None or type(use.of) not in (Tensor, torch.nn.Parameter):
        return None
    kinds = (use.of.dtype, use.node._input_metadata[0].dtype)
    return reader(use) if all(kind.is_floating_point for kind in kinds) else None


def _at_hand(node: Any, *names: str) -> bool:
    return all(getattr(node, f"_raw_saved_{name}").unpack_hook is None for name in names)


def _product(use: Use, name: str) -> Piece | None:
    node = use.node
    if use.of.ndim != 2 or not _at_hand(node, name):
        return None
    if name == "mat1" and not (node._saved_alpha == 1 and node._saved_beta == 1):
        return None
    n, inside = getattr(node, f"_saved_{name}_sym_sizes")
    form, out = ("out-in", use.of.shape[0]) if use.turned else ("in-out", use.of.shape[1])
    return Piece(node, n, inside, out, form, lambda: getattr(node, f"_saved_{name}"), lambda d: d)


def _convolution(use: Use) -> Piece | None:
    node = use.node
    if node._saved_transposed or node._saved_groups != 1 or use.turned or not _at_hand(node, "input"):
        return None
    out, *window = use.of.shape
    places = math.prod(node._input_metadata[0].shape[2:])
    stride, padding, dilation = node._saved_stride, node._saved_padding, node._saved_dilation

    def read() -> Tensor:
        return patches(node._saved_input, window[1:], stride, padding, dilation)

    def flatten(d: Tensor) -> Tensor:
        return d.flatten(2).transpose(1, 2)

    n = node._input_metadata[0].shape[0] * places
    return Piece(node, n, math.prod(window), out, "out-in", read, flatten)


def patches(x: Tensor, window: Any, stride: Any, padding: Any, dilation: Any) -> Tensor:
    """Return the windows (B, places, C x window) of ``x`` (B, C, ...) that a convolution multiplies."""
    if len(window) == 2:
        size, gaps, steps = tuple(window), tuple(dilation), tuple(stride)
        return functional.unfold(x, size, gaps, tuple(padding), steps).transpose(1, 2)
    x = functional.pad(x, [side for p in reversed(padding) for side in (p, p)])
    for axis, (size, step, gap) in enumerate(zip(window, stride, dilation, strict=True)):
        x = x.unfold(2 + axis, (size - 1) * gap + 1, step)[..., ::gap]
    dims = len(window)
    return x.movedim(1, 1 + dims).reshape(len(x), -1, x.shape[1] * math.prod(window))


def _lookup(use: Use) -> Piece | None:
    node = use.node
    if node._saved_scale_grad_by_freq or use.turned or not _at_hand(node, "indices"):
        return None
    rows, out = use.of.shape
    padding = node._saved_padding_idx
    padding = padding if 0 <= padding < rows else None  # torch says -1 for none in an unsigned number
    indices = node._saved_indices.reshape(-1)

    def flatten(d: Tensor) -> Tensor:
        d = d.reshape(-1, out)
        return d if padding is None else d.masked_fill((indices == padding)[:, None], 0)

    return Piece(node, indices.numel(), rows, out, "table", lambda: indices, flatten, bool(node._saved_sparse))


def _bag(use: Use) -> Piece | None:
    node = use.node
    names = ("indices", "offsets")
    if node._saved_scale_grad_by_freq or use.turned or not _at_hand(node, *names) or node._saved_mode > 1:
        return None
    rows, out = use.of.shape
    indices, offsets, by = node._saved_indices.reshape(-1), node._saved_offsets, node._saved_per_sample_weights
    padding = node._saved_padding_idx
    padding = padding if 0 <= padding < rows else None
    counted = torch.ones_like(indices, dtype=use.of.dtype)
    counted = counted if padding is None else counted.masked_fill(indices == padding, 0)
    places = torch.arange(indices.numel(), device=indices.device, dtype=offsets.dtype)
    bags = torch.searchsorted(offsets, places, right=True) - 1
    factor = counted if by is None else counted * by.detach()
    if node._saved_mode == 1:
        sizes = torch.zeros(len(offsets), dtype=counted.dtype, device=counted.device).index_add(0, bags, counted)
        factor = factor / sizes.clamp(min=1)[bags]

    def flatten(d: Tensor) -> Tensor:
        return d[bags] * factor[:, None].to(d)

    return Piece(node, indices.numel(), rows, out, "table", lambda: indices, flatten, bool(node._saved_sparse))


READERS: dict[tuple[str, int], Callable[[Use], Piece | None]] = {
    ("AddmmBackward0", 2): lambda use: _product(use, "mat1"),
    ("MmBackward0", 1): lambda use: _product(use, "self"),
    ("ConvolutionBackward0", 1): _convolution,
    ("EmbeddingBackward0", 0): _lookup,
    ("EmbeddingBagBackward0", 0): _bag,
}
