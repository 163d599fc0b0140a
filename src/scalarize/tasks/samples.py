"""Batches of samples, the sources that hold them, and partitions that keep groups of samples together."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from scalarize.tasks import labels


@dataclass(frozen=True)
class Batch:
    """Samples of one step.

    Args:
        inputs: a tensor (B, ...), or whatever the model's ``encode`` takes.
        targets: task to targets (B, ...).
        labelled: task to a mask, bool (B,), of the samples that have a target, for tasks that lack some; what stands in
            the place of a missing target is finite and of no effect. Masks stay on the CPU. Default None: all have one.

    >>> len(Batch(torch.zeros(4, 3), {"digit": torch.zeros(4, dtype=torch.long)}))
    4
    """

    inputs: Any
    targets: Mapping[str, Tensor]
    labelled: Mapping[str, Tensor] | None = None

    def to(self, device: torch.device) -> Batch:
        """Move inputs and targets to ``device``; pinned memory moves without blocking."""
        if device.type == "cpu":
            return self
        targets = {k: v.to(device, non_blocking=True) for k, v in self.targets.items()}
        return replace(self, inputs=self.inputs.to(device, non_blocking=True), targets=targets)

    def to_float64(self) -> Batch:
        """Convert floating-point inputs and targets to double precision; integers stay as they are."""
        targets = {k: v.double() if v.is_floating_point() else v for k, v in self.targets.items()}
        real = isinstance(self.inputs, Tensor) and self.inputs.is_floating_point()
        return replace(self, inputs=self.inputs.double() if real else self.inputs, targets=targets)

    def __len__(self) -> int:
        return len(next(iter(self.targets.values())))

    @classmethod
    def concat(cls, batches: Sequence[Batch]) -> Batch:
        """Concatenate batches along the samples."""
        if len(batches) == 1:
            return batches[0]
        targets = {k: torch.cat([b.targets[k] for b in batches]) for k in batches[0].targets}
        masks = labels.concat([b.labelled for b in batches], [len(b) for b in batches])
        return cls(torch.cat([b.inputs for b in batches]), targets, masks)

    def part(self, place: slice) -> Batch:
        """Return the samples at ``place``."""
        targets = {k: v[place] for k, v in self.targets.items()}
        return replace(self, inputs=self.inputs[place], targets=targets, labelled=labels.at(self.labelled, place))


class Source(Protocol):
    """Samples by index.

    Implement it for data of your own; :class:`TensorTable` is the one for data that fits in memory.

    Attributes:
        groups: int64 (N,), or None. Samples of one group are never split apart, and groups with the same number in
            several domains are the same group (such as one drawing by two vendors).

    A source of which some samples lack a target of some task marks them in its batches (``Batch.labelled``). If it has
    an attribute ``labelled`` as :class:`TensorTable` has, samples without any target are never drawn.

    >>> source: Source = TensorTable(torch.zeros(2, 1), {"a": torch.zeros(2)})
    >>> len(source)
    2
    """

    @property
    def groups(self) -> Tensor | None: ...

    def __len__(self) -> int: ...

    def batch(self, indices: Tensor) -> Batch:
        """Return the samples at ``indices``, int64 (B,)."""

    def select(self, indices: Tensor) -> Source:
        """Return a source of the samples at ``indices`` alone, in that order."""


@runtime_checkable
class Streaming(Source, Protocol):
    """A source that reads ahead, for data that stays on disk. Learners call ``stream`` if a source has it."""

    def stream(self, index_batches: Iterable[Tensor]) -> Iterator[Batch]:
        """Yield the batch of each element of ``index_batches``, int64 (B,), in order, decoding ahead while others
        train.
        """


def batches(source: Source, index_batches: Iterable[Tensor]) -> Iterator[Batch]:
    """Yield the batch of each element of ``index_batches``, reading ahead if the source can.

    Args:
        source: the source.
        index_batches: indices of each batch, int64 (B,).

    >>> table = TensorTable(torch.arange(6.0), {"a": torch.arange(6.0)})
    >>> [b.inputs.tolist() for b in batches(table, [torch.tensor([0, 2]), torch.tensor([5])])]
    [[0.0, 2.0], [5.0]]
    """
    return source.stream(index_batches) if isinstance(source, Streaming) else map(source.batch, index_batches)


@dataclass(frozen=True)
class TensorTable:
    """Samples in memory.

    Args:
        inputs: shape (N, ...).
        targets: task to targets (N, ...).
        groups: int64 (N,), see :class:`Source`. Default None: every sample is a group of its own.
        labelled: task to a mask, bool (N,), see :class:`Batch`. Default None: every sample has all targets.

    Raises:
        RequestError: a mask has another type or shape, or belongs to no target.

    >>> table = TensorTable(torch.zeros(5, 3), {"price": torch.arange(5.0)})
    >>> table.batch(torch.tensor([1, 3])).targets["price"].tolist()
    [1.0, 3.0]
    """

    inputs: Tensor
    targets: Mapping[str, Tensor]
    groups: Tensor | None = None
    labelled: Mapping[str, Tensor] | None = None

    def __post_init__(self) -> None:
        labels.check(self.labelled, self.targets)

    def __len__(self) -> int:
        return len(self.inputs)

    def batch(self, indices: Tensor) -> Batch:
        """Copy the samples at ``indices``, int64 (B,)."""
        # Whole samples are copied: many times faster than elements.
        inputs = self.inputs.index_select(0, indices.to(self.inputs.device))
        return Batch(inputs, {k: v[indices] for k, v in self.targets.items()}, labels.at(self.labelled, indices))

    def select(self, indices: Tensor) -> TensorTable:
        """Return a table of the samples at ``indices`` alone, in that order."""
        groups = None if self.groups is None else self.groups[indices]
        targets = {k: v[indices] for k, v in self.targets.items()}
        return TensorTable(self.inputs[indices], targets, groups, labels.at(self.labelled, indices))

    @classmethod
    def concat(cls, tables: Sequence[TensorTable]) -> TensorTable:
        """Concatenate tables along the samples; either all have groups or none has."""
        groups = [t.groups for t in tables if t.groups is not None]
        targets = {k: torch.cat([t.targets[k] for t in tables]) for k in tables[0].targets}
        masks = labels.concat([t.labelled for t in tables], [len(t) for t in tables])
        return cls(torch.cat([t.inputs for t in tables]), targets, torch.cat(groups) if groups else None, masks)


def select_rows(source: Source, rows: Tensor | None) -> Source:
    """Return the source of the samples at ``rows`` alone; the source itself if that is None."""
    return source if rows is None else source.select(rows)


def targets_of(source: Source, task: str, most: int) -> Tensor:
    """Return targets (N, ...) of ``task``, ``most`` at most, from samples spread evenly over those with one."""
    rows = labels.rows(getattr(source, "labelled", None), task)
    total = len(source) if rows is None else len(rows)
    indices = torch.linspace(0, total - 1, min(total, most), dtype=torch.float64).round().long()
    batch = source.batch(indices if rows is None else rows[indices])
    told = labels.rows(batch.labelled, task)
    return batch.targets[task] if told is None else batch.targets[task][told]


def split_indices(source: Source, shares: Sequence[float], seed: int) -> list[Tensor]:
    """Partition the samples of a source at random, keeping its groups together.

    Args:
        source: the source; if it has no groups, every sample is a group of its own.
        shares: share of the groups in each part, with a sum of 1.
        seed: seed of the shuffle.

    Returns:
        The indices (int64) of each part, in increasing order.

    >>> table = TensorTable(torch.zeros(10, 1), {"a": torch.zeros(10)})
    >>> [len(part) for part in split_indices(table, (0.7, 0.3), seed=0)]
    [7, 3]
    """
    return split_groups(torch.arange(len(source)) if source.groups is None else source.groups, shares, seed)


def split_groups(groups: Tensor, shares: Sequence[float], seed: int, distinct: Tensor | None = None) -> list[Tensor]:
    """Partition samples at random by their groups.

    Args:
        groups: group of each sample, int64 (N,).
        shares: share of the groups in each part, with a sum of 1.
        seed: seed of the shuffle.
        distinct: all groups that exist, sorted, if ``groups`` holds only some of them: several sources with the same
            ``distinct`` and seed put the same groups into the same part. Default: the groups that occur.

    Returns:
        The indices (int64) of each part, in increasing order.

    >>> first, second = split_groups(torch.tensor([7, 7, 8, 8]), (0.5, 0.5), seed=0)
    >>> len(first), len(second)
    (2, 2)
    """
    distinct = torch.unique(groups) if distinct is None else distinct
    generator = torch.Generator().manual_seed(seed)
    order = torch.empty(len(distinct), dtype=torch.long)
    order[torch.randperm(len(distinct), generator=generator)] = torch.arange(len(distinct))
    bounds = (torch.tensor([0.0, *shares], dtype=torch.float64).cumsum(0) * len(distinct)).round().long()
    place = order[torch.searchsorted(distinct, groups)]
    return [
        torch.nonzero((place >= low) & (place < high)).reshape(-1) for low, high in itertools.pairwise(bounds.tolist())
    ]
