"""Samples that stay on disk: decoded on demand by threads, or ahead of the training by worker processes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from scalarize.tasks.samples import Batch
from scalarize.utils.errors import RequestError, ScalarizeError

Sample = tuple[Tensor, Mapping[str, Tensor]]


@dataclass(frozen=True)
class Streamed:
    """A source of samples that are decoded from disk. Samples do not depend on the number of workers.

    Args:
        decode: position -> (input, targets) of a sample of the whole set; called in other processes, so it must be a
            function or object of a module.
        positions: the samples of this source, int64 (N,).
        workers: number of threads, or of processes in ``stream`` (no more than there are cores); 0 decodes in the
            caller.

    Raises:
        RequestError: the number of workers is negative.
    """

    decode: Callable[[int], Sample]
    positions: Tensor
    workers: int = 0
    groups: Tensor | None = None

    def __post_init__(self) -> None:
        if self.workers < 0:
            raise RequestError(f"`settings` data.workers={self.workers}: how many processes read ahead, 0 or more")

    def __len__(self) -> int:
        return len(self.positions)

    def batch(self, indices: Tensor) -> Batch:
        """Decode the samples now, by ``workers`` threads (decoders release Python's lock)."""
        wanted = self.positions[indices].tolist()
        if self.workers < 2:
            return collate([self.decode(p) for p in wanted])
        with ThreadPoolExecutor(self.workers) as pool:
            return collate(list(pool.map(self.decode, wanted)))

    def select(self, indices: Tensor) -> Streamed:
        groups = None if self.groups is None else self.groups[indices]
        return replace(self, positions=self.positions[indices], groups=groups)

    def stream(self, index_batches: Iterable[Tensor]) -> Iterator[Batch]:
        """Yield batches in order, two per worker ahead; nothing is drawn from torch's own generator."""
        from torch.utils.data import DataLoader

        loader: Any = DataLoader(
            _Positions(self.decode),  # type: ignore[arg-type]
            batch_sampler=_Lists(self.positions, index_batches),  # type: ignore[arg-type]
            num_workers=min(self.workers, _cores()),  # torch warns of more
            collate_fn=_as_is,
            generator=torch.Generator().manual_seed(0),
            pin_memory=torch.cuda.is_available(),
        )
        for batch in loader:
            if isinstance(batch, ScalarizeError):  # passed on as a value: torch would wrap a raised one in a traceback
                raise batch
            yield batch


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def collate(samples: list[Sample]) -> Batch:
    """Stack samples of one size into a batch."""
    targets = {k: torch.stack([s[1][k] for s in samples]) for k in samples[0][1]}
    return Batch(torch.stack([s[0] for s in samples]), targets)


@dataclass(frozen=True)
class _Lists:
    """A sampler of lists of positions."""

    positions: Tensor
    index_batches: Iterable[Tensor]

    def __iter__(self) -> Iterator[list[int]]:
        return (self.positions[indices].tolist() for indices in self.index_batches)


@dataclass(frozen=True)
class _Positions:
    """A torch data set that is read one list of positions at a time."""

    decode: Callable[[int], Sample]

    def __getitems__(self, positions: list[int]) -> Batch | ScalarizeError:
        try:
            return collate([self.decode(p) for p in positions])
        except ScalarizeError as error:
            return error


def _as_is(batch: Any) -> Any:
    return batch
