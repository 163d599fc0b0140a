"""Translated sentences as numbers, in memory without padding; padding is added per batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from scalarize.tasks.samples import Batch
from scalarize.workloads.datasets.subwords import BEGIN, END, PAD


@dataclass(frozen=True)
class Ragged:
    """Rows of different lengths: row k is ``flat[starts[k] : starts[k + 1]]``."""

    flat: Tensor
    starts: Tensor

    @classmethod
    def of(cls, flat: Sequence[int], starts: Sequence[int]) -> Ragged:
        """Make rows, kept in 32 bits."""
        return cls(torch.tensor(flat, dtype=torch.int32), torch.tensor(starts, dtype=torch.long))

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def lengths(self) -> Tensor:
        """The lengths of the rows, int64 (N,)."""
        return self.starts.diff()

    def padded(self, rows: Tensor, width: int) -> Tensor:
        """Return these rows as int64 (B, width), with PAD behind their ends; none may be longer than ``width``."""
        lengths = self.lengths[rows]
        place = torch.arange(width)
        known = place < lengths[:, None]
        at = (self.starts[:-1][rows][:, None] + place).where(known, 0)
        return self.flat[at].long().where(known, PAD) if len(self.flat) else torch.full(at.shape, PAD)

    def select(self, rows: Tensor) -> Ragged:
        """Return these rows alone, in that order."""
        lengths = self.lengths[rows]
        starts = torch.cat([torch.zeros(1, dtype=torch.long), lengths.cumsum(0)])
        shifts = (self.starts[:-1][rows] - starts[:-1]).repeat_interleave(lengths)
        return Ragged(self.flat[torch.arange(int(starts[-1])) + shifts], starts)


@dataclass(frozen=True)
class Bitext:
    """Pairs of sentences of one language pair: a source of samples.

    Sources consist of tag, pieces and END, targets of pieces and END; neither is longer than ``length``. The inputs of
    a batch are (B, 2, length): the source, and the decoder's input (BEGIN and the target up to its last piece). Its
    targets are (B, length): the pieces to predict and END, then PAD. They are the same for each of ``names``, the
    tasks.
    """

    sources: Ragged
    targets: Ragged
    length: int
    names: tuple[str, ...]
    groups: Tensor | None = None

    def __len__(self) -> int:
        return len(self.sources)

    def batch(self, indices: Tensor) -> Batch:
        wanted = self.targets.padded(indices, self.length)
        given = torch.cat([torch.full((len(indices), 1), BEGIN), wanted[:, :-1]], dim=1)
        given = given.masked_fill(given == END, PAD)
        inputs = torch.stack([self.sources.padded(indices, self.length), given], dim=1)
        return Batch(inputs, dict.fromkeys(self.names, wanted))

    def select(self, indices: Tensor) -> Bitext:
        groups = None if self.groups is None else self.groups[indices]
        sources, targets = self.sources.select(indices), self.targets.select(indices)
        return Bitext(sources, targets, self.length, self.names, groups)

    def by_length(self) -> Bitext:
        """Return the pairs with the shortest targets first, so that reading all in order needs little padding."""
        return self.select(torch.argsort(self.targets.lengths + self.sources.lengths / 1000, stable=True))

    def spread(self, count: int) -> Bitext:
        """Return at most ``count`` of the pairs, evenly spaced."""
        if len(self) <= count:
            return self
        return self.select(torch.linspace(0, len(self) - 1, count, dtype=torch.float64).round().long())
