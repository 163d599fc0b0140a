"""What gradient-based methods are told: the tasks' gradients as rows, over micro-batches and processes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor

from scalarize.batch import Batch
from scalarize.gradients import Grads, Rows, gradient, gradients_of, weighted
from scalarize.processes import Processes


class Window:
    """The micro-batches of one step: rows of all tasks, the gradients of their own parameters, summed losses.

    Without accumulation a window is one batch. The rows' memory is kept from step to step. chunk: how many rows one
    backward makes.
    """

    def __init__(self, chunk: int = 1) -> None:
        self.chunk = chunk
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
        """Backwards to ``targets`` and to the tasks' ``own`` parameters; ``keep`` the graphs of losses or not.

        Targets inside the graph, and several rows at once, leave the own parameters to a backward of their own:
        autograd walks down to the deepest target in each, and leaves are deepest.
        """
        before = set() if self.batch is None else set(self.batch.present)
        self.rows.prepare(len(batch.tasks), targets)
        if self.batch is None:
            self.touched = [False] * len(targets)
        nobody: list[list[Tensor]] = [[] for _ in own]
        apart = any(own) and (self.chunk > 1 or not any(t.is_leaf for t in targets))
        keeps = [True] * len(keep) if apart else list(keep)
        if self.chunk > 1:
            self._rows_together(batch, targets, before, keeps)
        else:
            self._rows_in_turn(batch, targets, nobody if apart else own, before, keeps)
        if apart and len({id(p) for params in own for p in params}) == sum(map(len, own)):
            self._own_together(batch, own, keep[-1])
        elif apart:
            self._rows_in_turn(batch, [], own, before, keep)
        self.batch = batch if self.batch is None else _together(self.batch, batch)

    def _rows_in_turn(
        self,
        batch: Batch,
        targets: Sequence[Tensor],
        own: Sequence[Sequence[Tensor]],
        before: set[str],
        keep: Sequence[bool],
    ) -> None:
        for t, (name, loss) in enumerate(zip(batch.present, batch.losses, strict=True)):
            place = batch.tasks.index(name)
            scale = None if batch.scales is None else batch.scales[t]
            grads = gradient(loss, [*targets, *own[t]], scale, keep[t])
            if targets:
                self._write(place, grads[: len(targets)], name in before)
            for p, g in zip(own[t], grads[len(targets) :], strict=True):
                self._keep_own(p, place, g)

    def _rows_together(self, batch: Batch, targets: Sequence[Tensor], before: set[str], keep: Sequence[bool]) -> None:
        number = len(batch.losses)
        by = torch.eye(number, dtype=batch.told.dtype, device=batch.told.device)
        by = by if batch.scales is None else by * batch.scales.to(by)
        for start in range(0, number, self.chunk):
            more = start + self.chunk < number or keep[-1]
            several = gradients_of(batch.losses, targets, by[start : start + self.chunk], more)
            for k, name in enumerate(batch.present[start : start + self.chunk]):
                self._write(batch.tasks.index(name), [None if g is None else g[k] for g in several], name in before)

    def _own_together(self, batch: Batch, own: Sequence[Sequence[Tensor]], keep: bool) -> None:
        ones = torch.ones_like(batch.told) if batch.scales is None else batch.scales
        roots, by = weighted(batch.losses, ones)
        leaves = [p for params in own for p in params]
        grads = iter(torch.autograd.grad(roots, leaves, by, retain_graph=keep, allow_unused=True))
        for name, params in zip(batch.present, own, strict=True):
            for p in params:
                self._keep_own(p, batch.tasks.index(name), next(grads))

    def _write(self, place: int, grads: Grads, add: bool) -> None:
        self.rows.write(place, grads, add=add)
        self.touched = [a or g is not None for a, g in zip(self.touched, grads, strict=True)]

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
