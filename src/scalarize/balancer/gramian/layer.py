"""A weight's gradients of several tasks, held as what leaves its layer, and the inner products of these gradients.

With ``X^T = Q R`` (Q has orthonormal columns) the gradient ``X^T D`` of a product is ``Q (R D)``: ``R D`` has the same
inner products and N rows in place of d_in. As with the gradient itself, opposite parts cancel before anything is
squared, so that the Gramian is as precise as that of the gradients; ``<D_s, (X X^T) D_t>`` would not be.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from scalarize.balancer.gramian.pieces import Piece


class Layer:
    """All uses of one weight.

    Args:
        param: the weight.
        pieces: its uses, of one form.
        n_tasks: number T of tasks.
        dtype: of all that is computed.
    """

    def __init__(self, param: Tensor, pieces: Sequence[Piece], n_tasks: int, dtype: torch.dtype) -> None:
        self.param, self.pieces = param, list(pieces)
        self.touched = False
        self._table = pieces[0].form == "table"
        parts = [p.read() for p in pieces]  # now: the last backward frees what the graph holds
        parts = [x if self._table else x.detach().to(dtype).reshape(-1, pieces[0].inside) for x in parts]
        self._input = parts[0] if len(parts) == 1 else torch.cat(parts)
        self._dtype = dtype
        self._n = [piece.n for piece in pieces]
        self._held: list[list[Tensor | None]] = [[None] * len(pieces) for _ in range(n_tasks)]
        self._unit: Tensor | None = None

    def write(self, task: int, grads: Sequence[Tensor | None]) -> None:
        """Hold the gradients by the outputs of all pieces, of the task at place ``task``; None for zero."""
        flat = [None if d is None else p.flatten(d).reshape(-1, p.out) for p, d in zip(self.pieces, grads, strict=True)]
        self._held[task] = [None if d is None else d.to(self._dtype) for d in flat]
        self.touched = self.touched or any(d is not None for d in grads)

    def unscale(self, scale: Tensor) -> None:
        """Divide by the factor of a GradScaler."""
        self._unit = scale

    def rows(self, dtype: torch.dtype) -> Tensor:
        """Return rows (T, M) whose inner products are those of the tasks' gradients."""
        n, out = sum(self._n), self.pieces[0].out
        if self._table:
            place = _groups(self._input)
            rows = self.param.new_zeros(len(self._held), n, out, dtype=dtype)
            for row, d in zip(rows, self._each(), strict=True):
                row.copy_(torch.ops.aten.embedding_dense_backward(d.to(dtype), place, n, -1, False))
        else:
            r = factor(self._input.to(dtype))
            rows = self.param.new_empty(len(self._held), len(r), out, dtype=dtype)
            for row, d in zip(rows, self._each(), strict=True):
                _triangle(r, d.to(dtype), row)
        return (rows if self._unit is None else rows.div_(self._unit.to(rows))).flatten(1)

    def gradient(self, weights: Tensor) -> Tensor | None:
        """Return the gradient of ``sum_t weights[t] L_t`` by the weight, in its shape; None if no loss reaches it."""
        if not self.touched:
            return None
        d = torch.zeros(sum(self._n), self.pieces[0].out, dtype=self._dtype, device=self.param.device)
        for weight, part in zip(weights.to(d), self._each(), strict=True):
            d.addcmul_(part, weight)
        d = d if self._unit is None else d.div_(self._unit.to(d))
        if not self._table:
            from_out = self.pieces[0].form == "out-in"
            return (d.T @ self._input if from_out else self._input.T @ d).view(self.param.shape)
        if all(piece.sparse for piece in self.pieces):
            found = torch.sparse_coo_tensor(self._input[None], d, self.param.shape, check_invariants=False)
            return found.coalesce()
        whole: Tensor = torch.ops.aten.embedding_dense_backward(d, self._input, self.param.shape[0], -1, False)
        return whole

    def _each(self) -> Iterator[Tensor]:
        """Yield D (N, d_out) of each task, all pieces below each other."""
        for parts in self._held:
            if len(parts) == 1 and parts[0] is not None:
                yield parts[0]
            else:
                zeros = [self.param.new_zeros(n, self.pieces[0].out, dtype=self._dtype) for n in self._n]
                yield torch.cat([zero if d is None else d for d, zero in zip(parts, zeros, strict=True)])


def factor(x: Tensor) -> Tensor:
    """Return R (r, N), upper triangular, with ``R^T R = X X^T`` for ``x`` (N, d)."""
    triangle: Tensor = torch.linalg.qr(x.T, mode="r").R
    return triangle


def _triangle(r: Tensor, d: Tensor, out: Tensor) -> None:
    """Write ``r @ d`` to ``out`` for an upper triangular ``r``, leaving out a quarter of the work that is zero."""
    half = len(r) // 2 if len(r) >= 64 else 0
    torch.mm(r[:half], d, out=out[:half])
    torch.mm(r[half:, half:], d[half:], out=out[half:])


def _groups(indices: Tensor) -> Tensor:
    """Return a number (N,) below N for each of ``indices``, the same for equal ones."""
    ordered, order = indices.sort()
    new = torch.ones_like(ordered)
    new[1:] = (ordered[1:] != ordered[:-1]).to(new)
    return torch.empty_like(ordered).scatter(0, order, new.cumsum(0) - 1)
