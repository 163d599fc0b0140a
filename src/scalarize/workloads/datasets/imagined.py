"""Random samples in the shape of a data set that need not be there: for questions of cost, never of results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from scalarize.tasks.samples import Batch
from scalarize.tasks.task import Data, Objective

Make = Callable[[int], Tensor]  # number of samples B -> (B, ...)


@dataclass(frozen=True)
class Imagined:
    """A source of so many samples, each drawn at random when it is asked for.

    Args:
        count: number of samples.
        inputs: makes inputs.
        targets: task to what makes its targets.
        groups: none.

    >>> source = Imagined(1000, pictures(3, 8, 8), {"object": classes(10)})
    >>> len(source), source.batch(torch.arange(4)).inputs.shape
    (1000, torch.Size([4, 3, 8, 8]))
    """

    count: int
    inputs: Make
    targets: Mapping[str, Make]
    groups: Tensor | None = None

    def __len__(self) -> int:
        return self.count

    def batch(self, indices: Tensor) -> Batch:
        """Draw as many samples as there are indices."""
        return Batch(self.inputs(len(indices)), {task: make(len(indices)) for task, make in self.targets.items()})

    def select(self, indices: Tensor) -> Imagined:
        """Return a source of as many samples as there are indices."""
        return Imagined(len(indices), self.inputs, self.targets)


@dataclass(frozen=True)
class Unseen(Data):
    """Data of imagined samples: what constant predictors reach on them is not known, and said to be 1."""

    def constant(self, objective: Objective, metric: str, split: str = "train") -> float | None:
        """Return 1."""
        return 1.0


def unseen(data: Data) -> Unseen:
    """Return the same data as :class:`Unseen`."""
    return Unseen(data.objectives, data.domains, data.epoch_size, data.info)


def splits(counts: Mapping[str, int], inputs: Make, targets: Mapping[str, Make]) -> dict[str, Imagined]:
    """Return sources by split, of so many samples each."""
    return {split: Imagined(count, inputs, targets) for split, count in counts.items()}


def pictures(*shape: int) -> Make:
    """Return what makes pictures, uint8 (B, C, H, W)."""
    return lambda count: torch.randint(0, 256, (count, *shape), dtype=torch.uint8)


def classes(number: int, *shape: int) -> Make:
    """Return what makes classes, int64 (B, ...), each below ``number``."""
    return lambda count: torch.randint(0, number, (count, *shape))


def bits(*shape: int) -> Make:
    """Return what makes 0/1 numbers, float32 (B, ...)."""
    return lambda count: torch.randint(0, 2, (count, *shape)).float()


def numbers(*shape: int) -> Make:
    """Return what makes numbers in [0, 1), float32 (B, ...)."""
    return lambda count: torch.rand(count, *shape)
