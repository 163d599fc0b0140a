"""Samples: batches of them, sources that hold them, tables in memory, and partitions that keep groups whole."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """inputs: a tensor (B, ...) or whatever the model's ``encode`` takes; targets: task -> (B, ...)."""

    inputs: Any
    targets: Mapping[str, Tensor]

    def to(self, device: torch.device) -> Batch:
        """The batch on ``device``; pinned memory moves without blocking."""
        if device.type == "cpu":
            return self
        targets = {k: v.to(device, non_blocking=True) for k, v in self.targets.items()}
        return replace(self, inputs=self.inputs.to(device, non_blocking=True), targets=targets)

    def to_float64(self) -> Batch:
        """The batch in double precision; whole numbers stay what they are."""
        targets = {k: v.double() if v.is_floating_point() else v for k, v in self.targets.items()}
        real = isinstance(self.inputs, Tensor) and self.inputs.is_floating_point()
        return replace(self, inputs=self.inputs.double() if real else self.inputs, targets=targets)

    def __len__(self) -> int:
        return len(next(iter(self.targets.values())))

    @classmethod
    def concat(cls, batches: Sequence[Batch]) -> Batch:
        """One batch after the other."""
        if len(batches) == 1:
            return batches[0]
        targets = {k: torch.cat([b.targets[k] for b in batches]) for k in batches[0].targets}
        return cls(torch.cat([b.inputs for b in batches]), targets)


class Source(Protocol):
    """Samples by index.

    ``groups`` (N,) int64, or None: samples of one group are never split apart, nor are samples of the same group in
    several domains (the same drawing by two vendors).
    """

    @property
    def groups(self) -> Tensor | None: ...

    def __len__(self) -> int: ...

    def batch(self, indices: Tensor) -> Batch:
        """The samples at ``indices`` (B,) int64."""

    def select(self, indices: Tensor) -> Source:
        """The source of those samples alone, in that order."""


@runtime_checkable
class Streaming(Source, Protocol):
    """A source that reads ahead: for sets that stay on disk. Learners use ``stream`` where a source offers it."""

    def stream(self, index_batches: Iterable[Tensor]) -> Iterator[Batch]:
        """The batches of those indices (each (B,) int64), in order, decoded while earlier ones are trained on."""


def batches(source: Source, index_batches: Iterable[Tensor]) -> Iterator[Batch]:
    """The batches of those indices (each (B,) int64), in order; read ahead where the source can."""
    return source.stream(index_batches) if isinstance(source, Streaming) else map(source.batch, index_batches)


@dataclass(frozen=True)
class TensorTable:
    """Samples in memory: inputs (N, ...), targets task -> (N, ...), groups (N,) or None."""

    inputs: Tensor
    targets: Mapping[str, Tensor]
    groups: Tensor | None = None

    def __len__(self) -> int:
        return len(self.inputs)

    def batch(self, indices: Tensor) -> Batch:
        # Whole samples are copied: many times faster than elements.
        inputs = self.inputs.index_select(0, indices.to(self.inputs.device))
        return Batch(inputs, {k: v[indices] for k, v in self.targets.items()})

    def select(self, indices: Tensor) -> TensorTable:
        groups = None if self.groups is None else self.groups[indices]
        return TensorTable(self.inputs[indices], {k: v[indices] for k, v in self.targets.items()}, groups)

    @classmethod
    def concat(cls, tables: Sequence[TensorTable]) -> TensorTable:
        """One table after the other; all with groups or all without."""
        groups = [t.groups for t in tables if t.groups is not None]
        targets = {k: torch.cat([t.targets[k] for t in tables]) for k in tables[0].targets}
        return cls(torch.cat([t.inputs for t in tables]), targets, torch.cat(groups) if groups else None)


def split_indices(source: Source, shares: Sequence[float], seed: int) -> list[Tensor]:
    """Partition a source's indices by ``shares`` of its groups (of its samples where it has none), shuffled."""
    return split_groups(torch.arange(len(source)) if source.groups is None else source.groups, shares, seed)


def split_groups(groups: Tensor, shares: Sequence[float], seed: int, distinct: Tensor | None = None) -> list[Tensor]:
    """Partition the indices of ``groups`` (N,) by ``shares`` of the groups, shuffled.

    distinct: all groups there are, sorted, where ``groups`` holds only some: so that several sources agree.
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
