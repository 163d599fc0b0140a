"""The losses of one step: which tasks are there, in which order, and what they tell."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from scalarize.balancer import present_tasks
from scalarize.balancer.autograd import stack
from scalarize.balancer.distributed import Processes
from scalarize.utils.errors import RequestError


@dataclass(frozen=True)
class Losses:
    """Losses by task.

    Args:
        tasks: names of all T tasks.
        given: names in the caller's order.
        present: names of the T' tasks with a loss (in any process), in the order of ``tasks``.
        losses: losses of the present tasks, with their graphs.
        values: values (T',) of these losses, over all processes.
        index: positions (T',) of the present tasks among ``tasks``; None if all are present.
        scales: factors (T',) of each loss at the root of its backward; None for 1.
    """

    tasks: tuple[str, ...]
    given: tuple[str, ...]
    present: tuple[str, ...]
    losses: list[Tensor]
    values: Tensor
    index: Tensor | None
    scales: Tensor | None

    def arrange(self, values: Tensor | None) -> Tensor | None:
        """Reorder ``values`` of the present tasks, (T',) or (T', T'), to the caller's order; NaN for a missing task."""
        if values is None or self.present == self.given:
            return None if values is None else values.detach()
        if self.index is not None:
            values = present_tasks.spread(values, len(self.tasks), self.index)
        order = torch.tensor([self.tasks.index(t) for t in self.given], device=values.device)
        return (values[order] if values.ndim == 1 else values[order][:, order]).detach()

    def find_nonfinite(self, norms: Tensor | None, by_task: bool) -> tuple[str, list[str]] | None:
        """Return ("loss" or "gradient", tasks) if a loss or a gradient norm is not finite; None if all are.

        norms: one per task if ``by_task``, else of the sum of all tasks, each of which may be to blame. One look at the
        device.
        """
        seen = self.values if norms is None else torch.cat([self.values, norms.to(self.values)])
        if bool(torch.isfinite(seen).all()):
            return None
        return self._to_blame(self.values.tolist(), [] if norms is None else norms.tolist(), by_task)

    def look(self, norms: Tensor, diagonal: Tensor) -> tuple[tuple[str, list[str]] | None, list[bool]]:
        """As :meth:`find_nonfinite` by task; and True for the tasks whose entry (T',) of the Gramian's ``diagonal`` is
        0. One look at the device."""
        number = len(self.present)
        seen: list[float] = torch.cat([self.values, norms, diagonal]).tolist()
        empty = [x == 0 for x in seen[2 * number :]]
        if all(map(math.isfinite, seen[: 2 * number])):
            return None, empty
        return self._to_blame(seen[:number], seen[number : 2 * number], True), empty

    def _to_blame(self, losses: list[float], norms: list[float], by_task: bool) -> tuple[str, list[str]]:
        bad = [t for t, x in zip(self.present, losses, strict=True) if not math.isfinite(x)]
        if bad or not norms:
            return "loss", bad
        if not by_task:
            return "gradient", list(self.present)
        return "gradient", [t for t, x in zip(self.present, norms, strict=True) if not math.isfinite(x)]


def read(
    losses: Mapping[str, Tensor | None],
    tasks: tuple[str, ...],
    processes: Processes,
    counts: Mapping[str, float] | None = None,
    scale: Tensor | None = None,
) -> Losses:
    """Read the losses of one step.

    Args:
        losses: loss by task, one number each; None or missing if the task is not in this batch.
        tasks: names of all T tasks.
        processes: the processes that share the batch.
        counts: number of samples that each loss averages in this process; 1 each if None.
        scale: factor of a GradScaler.

    Returns:
        The losses, their values summed over processes.

    Raises:
        RequestError: no task has a loss.
    """
    here = [losses.get(t) for t in tasks]
    some = next((x for x in here if x is not None), None)
    if some is None:
        raise RequestError("no task has a loss in this batch")
    scales = None
    there = [x is not None for x in here]
    if processes.several:
        numbers = [0.0 if x is None else (counts or {}).get(t, 1.0) for t, x in zip(tasks, here, strict=True)]
        shares = processes.shares(torch.tensor(numbers, dtype=torch.float64, device=some.device))
        there = (~shares.isnan()).tolist()
        scales = shares[torch.tensor(there, device=shares.device)]
    present = [(t, x) for t, x, present in zip(tasks, here, there, strict=True) if present]
    values = [some.new_zeros(()) if x is None else x for _, x in present]
    with torch.no_grad():
        told = stack(values)
    told = told if told.dtype in (torch.float32, torch.float64) else told.float()
    if scales is not None:
        told = processes.sum(told * scales.to(told))
    if scale is not None:
        scales = scale.expand(len(present)) if scales is None else scales * scale
    index = None if all(there) else torch.tensor([k for k, x in enumerate(there) if x], device=told.device)
    return Losses(tasks, tuple(losses), tuple(t for t, _ in present), values, told, index, scales)


def join(a: Losses, b: Losses) -> Losses:
    """Join two micro-batches to one: their losses add up (each is expected to be divided by their number)."""
    told = {t: x for step in (a, b) for t, x in zip(step.present, step.values, strict=True)}
    for t, x in zip(a.present, a.values, strict=True):
        if t in b.present:
            told[t] = x + b.values[b.present.index(t)]
    present = tuple(t for t in a.tasks if t in told)
    places = [k for k, t in enumerate(a.tasks) if t in told]
    return dataclasses.replace(
        b,
        given=(*a.given, *(t for t in b.given if t not in a.given)),
        present=present,
        losses=[*a.losses, *b.losses],
        values=torch.stack([told[t] for t in present]),
        index=None if len(places) == len(a.tasks) else torch.tensor(places, device=b.values.device),
    )
