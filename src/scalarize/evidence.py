"""What gradient-based methods are told: the tasks' gradients as rows, over micro-batches and processes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor

from scalarize.batch import Batch
from scalarize.gradients import Grads, Rows, gradient, weighted
from scalarize.processes import Processes


class Window:
    """The micro-batches of one step: rows of all tasks, the gradients of their own parameters, summed losses.

    Without accumulation a window is one batch. The rows' memory is kept from step to step.
    """

    def __init__(self) -> None:
        self.rows = Rows()
        self.batch: Batch | None = None
        self.touched: list[bool] = []
        self.own: dict[int, tuple[Tensor, dict[int, Tensor]]] = {}  # parameter -> gradient by place of the task

    def clear(self) -> None:
        """Begin a new window."""
        self.batch, self.touched, self.own = None, [], {}

    def add(
        self, batch: Batch, targets: Sequence[Tensor], own: Sequence[Sequence[Tensor]], keep: Sequence[bool]
    ) -> None:
        """One backward a task, to ``targets`` and to the task's ``own`` parameters; ``keep`` its graph or not.

        Where the targets are inside the graph and no parameter is owned twice, the own ones are left to a backward
        of their own for all tasks: autograd walks down to the deepest target in each, and the leaves are deepest.
        """
        leaves = [p for params in own for p in params]
        if leaves and len({id(p) for p in leaves}) == len(leaves) and not any(t.is_leaf for t in targets):
            self._rows_of(batch, targets, [[] for _ in own], [True] * len(own))
            ones = torch.ones_like(batch.told) if batch.scales is None else batch.scales
            roots, by = weighted(batch.losses, ones)
            grads = iter(torch.autograd.grad(roots, leaves, by, allow_unused=True))
            for t, name in enumerate(batch.present):
                for p in own[t]:
                    self._keep_own(p, batch.tasks.index(name), next(grads))
        else:
            self._rows_of(batch, targets, own, keep)
        self.batch = batch if self.batch is None else _together(self.batch, batch)

    def _rows_of(
        self, batch: Batch, targets: Sequence[Tensor], own: Sequence[Sequence[Tensor]], keep: Sequence[bool]
    ) -> None:
        first = self.batch is None
        self.rows.prepare(len(batch.tasks), targets)
        if first:
            self.touched = [False] * len(targets)
        before = set() if self.batch is None else set(self.batch.present)
        for t, (name, loss) in enumerate(zip(batch.present, batch.losses, strict=True)):
            place = batch.tasks.index(name)
            scale = None if batch.scales is None else batch.scales[t]
            grads = gradient(loss, [*targets, *own[t]], scale, keep[t])
            self.rows.write(place, grads[: len(targets)], add=name in before)
            self.touched = [a or g is not None for a, g in zip(self.touched, grads, strict=False)]
            for p, g in zip(own[t], grads[len(targets) :], strict=True):
                self._keep_own(p, place, g)

    def _keep_own(self, p: Tensor, place: int, g: Tensor | None) -> None:
        if g is not None:
            of_task = self.own.setdefault(id(p), (p, {}))[1]
            of_task[place] = of_task[place] + g if place in of_task else g

    def matrix(self, processes: Processes, over_processes: bool, scale: Tensor | None) -> Tensor:
        """The rows (T', P) of the tasks that were seen: summed over processes if asked, without ``scale``."""
        assert self.batch is not None
        matrix = self.rows.matrix if self.batch.index is None else self.rows.matrix[self.batch.index]
        if over_processes:
            matrix = processes.sum(matrix)
        return matrix if scale is None else matrix.div_(scale.to(matrix))

    def norms(self, gramian: Tensor, processes: Processes) -> Tensor:
        """(T',): finite where all gradients of the task are."""
        assert self.batch is not None
        own = torch.zeros(len(self.batch.tasks), dtype=gramian.dtype, device=gramian.device)
        places = [(place, g) for _, of_task in self.own.values() for place, g in of_task.items()]
        if places:
            sizes = torch.stack(torch._foreach_norm([g for _, g in places]))
            own.index_add_(0, torch.tensor([place for place, _ in places], device=own.device), sizes.to(own))
        own = own if self.batch.index is None else own[self.batch.index]
        return gramian.diagonal() + processes.sum(own)

    def own_gradients(self, weights: Tensor | None) -> tuple[list[Tensor], Grads]:
        """The tasks' own parameters and their gradients, scaled by ``weights`` (T',) if given."""
        assert self.batch is not None
        at = {self.batch.tasks.index(t): k for k, t in enumerate(self.batch.present)}
        params, grads = [], []
        for p, of_task in self.own.values():
            parts = [g if weights is None else g * weights[at[place]].to(g) for place, g in of_task.items()]
            params.append(p)
            grads.append(parts[0] if len(parts) == 1 else torch.stack(parts).sum(dim=0))
        return params, list(grads)


def _together(a: Batch, b: Batch) -> Batch:
    """Two micro-batches as one: their losses add up (each is expected to be divided by their number)."""
    told = {t: x for batch in (a, b) for t, x in zip(batch.present, batch.told, strict=True)}
    for t, x in zip(a.present, a.told, strict=True):
        if t in b.present:
            told[t] = x + b.told[b.present.index(t)]
    present = tuple(t for t in a.tasks if t in told)
    places = [k for k, t in enumerate(a.tasks) if t in told]
    return dataclasses.replace(
        b,
        given=(*a.given, *(t for t in b.given if t not in a.given)),
        present=present,
        losses=[*a.losses, *b.losses],
        told=torch.stack([told[t] for t in present]),
        index=None if len(places) == len(a.tasks) else torch.tensor(places, device=b.told.device),
    )
