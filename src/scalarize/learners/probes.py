"""Observers of a training, under any method: conflicting gradients, and the norm of the summed gradient."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from scalarize.balancer import jacobian

Row = dict[str, Any]
PAIR = "|"  # joins the two names of a pair in the column ``task``


class Probe(Protocol):
    """An observer to which a learner shows its losses before each update."""

    def look(self, losses: Mapping[str, Tensor], shared: Sequence[nn.Parameter]) -> None:
        """Observe one batch: the loss of each task, with its graph, and the parameters that tasks share."""

    def rows(self, step: int, epoch: int) -> list[Row]:
        """Return tidy rows about the finished epoch, and start anew."""


class SummedGradient:
    """The norm of the sum of all tasks' gradients with respect to the shared parameters (Kurin et al. 2022, figure 6).

    every: look at each k-th batch only, the paper's 100; the first batch of an epoch always is one. Each look costs
    one backward. Rows: metric ``gradient-norm`` of task ``all``, the mean over an epoch's looks.
    """

    def __init__(self, every: int = 100) -> None:
        self.every = every
        self._batches, self._norms = 0, list[float]()

    def look(self, losses: Mapping[str, Tensor], shared: Sequence[nn.Parameter]) -> None:
        """Take the norm at this batch, if it is its turn."""
        if self._batches % self.every == 0:
            found = jacobian.gradient(torch.stack(list(losses.values())).sum(), shared)
            parts = [g.double().square().sum() for g in found if g is not None]
            self._norms.append(float(torch.stack(parts).sum().sqrt()) if parts else 0.0)
        self._batches += 1

    def rows(self, step: int, epoch: int) -> list[Row]:
        """Return one row; none if no batch was observed."""
        row = {"step": step, "epoch": epoch, "split": "train", "domain": "all", "task": "all"}
        norms, self._norms, self._batches = self._norms, [], 0
        return [row | {"metric": "gradient-norm", "value": sum(norms) / len(norms)}] if norms else []


class Conflicts:
    """The share of steps at which two tasks' gradients conflict: the cosine of their angle is negative.

    Royer et al. 2023, section 4.2 and appendix 3 (the definition is that of Yu et al. 2020). Gradients are those of
    the shared parameters for the losses as they are: positive weights change no sign. every: look at each k-th batch
    only; each look costs one backward a task, and the graph is kept for the update. layers: names of the shared
    parameters, in order, for rows of single layers (matrices only; our choice).

    Rows: metric ``conflict`` for each pair (``task`` is ``a|b``), and ``conflict:NAME`` over all pairs for a layer;
    values are shares in [0, 1]. A pair counts only if both tasks were in the batch and neither gradient is zero.
    """

    def __init__(self, tasks: Sequence[str], every: int = 1, layers: Sequence[str] = ()) -> None:
        if every < 1:
            raise ValueError(f"a probe looks at each k-th batch with k at least 1, got {every}")
        self.tasks, self.every, self.layers = tuple(tasks), every, tuple(layers)
        self._forget()

    def look(self, losses: Mapping[str, Tensor], shared: Sequence[nn.Parameter]) -> None:
        """Count the conflicting pairs of this batch, if it is its turn."""
        turn = self._batches % self.every == 0
        self._batches += 1
        if not turn:
            return
        present = [k for k, name in enumerate(self.tasks) if name in losses]
        parts: list[list[Tensor]] = [[] for _ in shared]
        for k in present:
            found = jacobian.gradient(losses[self.tasks[k]], shared)
            for part, parameter, grad in zip(parts, shared, found, strict=True):
                part.append((torch.zeros_like(parameter) if grad is None else grad).flatten().double())
        if len(present) < 2:
            return
        rows = [torch.stack(part) for part in parts]
        products = [row @ row.T for row in rows]
        place = torch.tensor(present)
        total = torch.stack(products).sum(0).cpu()
        self._count(self._conflicts, self._seen, total, place)
        for position, product in enumerate(products):
            if self._is_layer(position, shared[position]):
                conflicts, seen = self._by_layer.setdefault(self.layers[position], (self._zeros(), self._zeros()))
                self._count(conflicts, seen, product.cpu(), place)

    def rows(self, step: int, epoch: int) -> list[Row]:
        """Return one row per pair of tasks that was observed, and one per layer."""
        shape = {"step": step, "epoch": epoch, "split": "train", "domain": "all"}
        rows = []
        for a, b in itertools.combinations(range(len(self.tasks)), 2):
            if self._seen[a, b] > 0:
                value = float(self._conflicts[a, b] / self._seen[a, b])
                rows.append(shape | {"task": f"{self.tasks[a]}{PAIR}{self.tasks[b]}", "metric": "conflict"})
                rows[-1]["value"] = value
        for name, (conflicts, seen) in self._by_layer.items():
            above = torch.triu(torch.ones_like(seen), diagonal=1)
            if (seen * above).sum() > 0:
                share = float((conflicts * above).sum() / (seen * above).sum())
                rows.append(shape | {"task": "all", "metric": f"conflict:{name}", "value": share})
        self._forget()
        return rows

    def _count(self, conflicts: Tensor, seen: Tensor, gramian: Tensor, place: Tensor) -> None:
        """Add one batch: gramian (T', T') of the tasks at ``place``."""
        alive = gramian.diagonal() > 0
        grid = (place[:, None], place[None, :])
        seen[grid] += (alive[:, None] & alive[None, :]).double()
        conflicts[grid] += (gramian < 0).double()

    def _is_layer(self, position: int, parameter: nn.Parameter) -> bool:
        return bool(self.layers) and parameter.ndim > 1

    def _zeros(self) -> Tensor:
        return torch.zeros(len(self.tasks), len(self.tasks), dtype=torch.float64)

    def _forget(self) -> None:
        self._batches = 0  # so that a resumed training looks at the same batches
        self._conflicts, self._seen = self._zeros(), self._zeros()
        self._by_layer: dict[str, tuple[Tensor, Tensor]] = {}
