"""The tasks' gradients of all shared parameters: held as what leaves a layer for some, as rows for the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from scalarize.balancer.autograd import Grads
from scalarize.balancer.gramian.layer import Layer
from scalarize.balancer.gramian.outputs import Outputs
from scalarize.balancer.gramian.pieces import Piece
from scalarize.balancer.rows import DOUBLE, Rows

PART = 4096  # numbers that are summed in the rows' own type


class Compact:
    """The gradients of T tasks by ``params``, of which some are never made.

    Args:
        params: the parameters.
        pieces: by place among them, all uses of those whose gradients are not made.
        n_tasks: number T of tasks.
    """

    def __init__(self, params: Sequence[Tensor], pieces: Mapping[int, Sequence[Piece]], n_tasks: int) -> None:
        self._params = list(params)
        self._dtype = torch.float64 if any(p.dtype in DOUBLE for p in params) else torch.float32
        self._layers = {k: Layer(params[k], x, n_tasks, self._dtype) for k, x in pieces.items()}
        self._others = [k for k in range(len(params)) if k not in pieces]
        self._rows = Rows()
        if self._others:
            self._rows.prepare(n_tasks, [params[k] for k in self._others])
            self._rows.forget()
        self.outputs = Outputs(x.node for layer in self._layers.values() for x in layer.pieces)
        self.inputs: list[Any] = [*(params[k] for k in self._others), *self.outputs.edges]

    def write(self, task: int, grads: Sequence[Tensor | None]) -> None:
        """Take the gradients of one task by ``inputs``, of a backward within ``outputs.watch()``."""
        number = len(self._others)
        if self._others:
            self._rows.write(task, grads[:number])
        found = self.outputs.take(grads[number:])
        for layer in self._layers.values():
            layer.write(task, [found[x.node] for x in layer.pieces])

    def unscale(self, scale: Tensor | None) -> None:
        """Divide all gradients by the factor of a GradScaler."""
        if scale is not None:
            self._rows.matrix.div_(scale.to(self._rows.matrix))
            for layer in self._layers.values():
                layer.unscale(scale)

    def gramian(self, dtype: torch.dtype | None = None) -> Tensor:
        """Return the inner products (T, T) of the gradients."""
        dtype = dtype or self._dtype
        parts = [products(layer.rows(dtype)) for layer in self._layers.values()]
        if self._others:
            parts.append(products(self._rows.matrix.to(dtype)))
        return torch.stack(parts).sum(dim=0).to(dtype)

    def gramian64(self) -> Tensor:
        """Return the same in float64."""
        return self.gramian(torch.float64)

    @property
    def precise(self) -> bool:
        """True if float64 is what everything is computed in."""
        return self._dtype == torch.float64

    @property
    def touched(self) -> list[bool]:
        """For each parameter, True if any task has a gradient of it."""
        found = dict(zip(self._others, self._rows.touched, strict=True))
        return [found[k] if k in found else self._layers[k].touched for k in range(len(self._params))]

    def gradients(self, weights: Tensor) -> Grads:
        """Return the gradient of ``sum_t weights[t] L_t`` by each parameter; None if no loss reaches it."""
        grads: Grads = [None] * len(self._params)
        if self._others:
            combined = weights.to(self._rows.matrix) @ self._rows.matrix
            for k, g in zip(self._others, self._rows.gradients(combined), strict=True):
                grads[k] = g
        for k, layer in self._layers.items():
            grads[k] = layer.gradient(weights)
        return grads


def products(rows: Tensor) -> Tensor:
    """Return ``rows @ rows.T`` (T, T) in float64: of short parts as they are, whose sum is then no less precise."""
    long = rows.shape[1] // PART * PART
    parts = rows[:, :long].reshape(len(rows), -1, PART).transpose(0, 1)
    total = torch.bmm(parts, parts.transpose(1, 2)).sum(dim=0, dtype=torch.float64)
    rest = rows[:, long:]
    return total + rest @ rest.T
