"""Gradients of T tasks as the rows of one matrix, and a row as gradients again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from scalarize.balancer.autograd import Grads
from scalarize.balancer.distributed import Processes

DOUBLE = (torch.float64, torch.complex128)


class Rows:
    """Gradients of T tasks as the rows of one matrix (T, P), whose memory is kept from step to step.

    Half-precision gradients are kept in float32; a complex number takes two places, its real and imaginary part.
    """

    def __init__(self) -> None:
        self.matrix = torch.empty(0, 0)
        self._memory = torch.empty(0)
        self._views: list[list[Tensor]] = []
        self._layout: tuple[Any, ...] = ()
        self._shapes: list[list[int]] = []
        self._complex: list[bool] = []
        self._dense: list[bool] = []  # of each tensor: whether a task has a gradient of it that is dense
        self._indices: dict[int, list[Tensor]] = {}  # the places that sparse gradients touch

    def prepare(self, n_rows: int, like: Sequence[Tensor]) -> None:
        """Make room for ``n_rows`` gradients of the tensors ``like``; what was there is no longer of use."""
        dtype = torch.float64 if any(t.dtype in DOUBLE for t in like) else torch.float32
        layout = (n_rows, dtype, like[0].device, tuple((t.shape, t.is_complex()) for t in like))
        if layout != self._layout:
            self._complex = [t.is_complex() for t in like]
            self._shapes = [[*t.shape, 2] if c else list(t.shape) for t, c in zip(like, self._complex, strict=True)]
            size = sum(t.numel() * (1 + c) for t, c in zip(like, self._complex, strict=True))
            if n_rows * size > self._memory.numel() or (dtype, like[0].device) != self._layout[1:3]:
                self._memory = torch.empty(n_rows * size, dtype=dtype, device=like[0].device)
            self.matrix = self._memory[: n_rows * size].view(n_rows, size)
            self._views = [self._split(row) for row in self.matrix]
            self._layout = layout

    def forget(self) -> None:
        """A new step: no tensor has a gradient yet."""
        self._dense, self._indices = [False] * len(self._shapes), {}

    def write(self, row: int, grads: Sequence[Tensor | None], add: bool = False) -> None:
        """Fill row ``row``, or ``add`` to it; None counts as zero."""
        for k, (view, g) in enumerate(zip(self._views[row], grads, strict=True)):
            if g is None:
                if not add:
                    view.zero_()
                continue
            if g.is_sparse:
                self._indices.setdefault(k, []).append(g._indices())
                g = g.to_dense()
            else:
                self._dense[k] = True
            if self._complex[k]:
                g = torch.view_as_real(g.resolve_conj())
            if add:
                view.add_(g)
            else:
                view.copy_(g)

    def agree(self, processes: Processes) -> None:
        """Mark as touched in all processes what is touched in one, so that all write the same ``.grad``."""
        if processes.several:
            mine = [*self._dense, *(k in self._indices for k in range(len(self._dense)))]
            dense, sparse = processes.sum(torch.tensor(mine, device=self.matrix.device).float()).view(2, -1).tolist()
            self._dense = [n > 0 for n in dense]
            self._indices = {k: [] for k, n in enumerate(sparse) if n > 0}  # where it is not 0

    @property
    def touched(self) -> list[bool]:
        """For each tensor, True if any task has a gradient of it."""
        return [dense or k in self._indices for k, dense in enumerate(self._dense)]

    def gradients(self, flat: Tensor) -> Grads:
        """Convert a combination (P,) of the rows to gradients: None if no task has one, sparse if all of them are."""
        grads: Grads = []
        for k, part in enumerate(self._split(flat)):
            whole = torch.view_as_complex(part) if self._complex[k] else part
            if self._dense[k]:
                grads.append(whole)
            elif k in self._indices:
                places = torch.unique(torch.cat(self._indices[k] or [whole.to_sparse(1).indices()], dim=1), dim=1)
                values = whole[tuple(places)]
                grads.append(
                    torch.sparse_coo_tensor(places, values, whole.shape, check_invariants=False)._coalesced_(True)
                )
            else:
                grads.append(None)
        return grads

    def _split(self, flat: Tensor) -> list[Tensor]:
        shapes = self._shapes
        parts = torch.split(flat, [torch.Size(s).numel() for s in shapes])
        return [part.view(s) for part, s in zip(parts, shapes, strict=True)]
