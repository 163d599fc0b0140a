"""The samples of a training step: how many of each domain, and which ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from scalarize.learners.recipe import Recipe
from scalarize.tasks.sampler import Reader, Streams, equal_counts, multinomial_counts
from scalarize.tasks.samples import Batch
from scalarize.tasks.task import Data

Parts = Mapping[str, Batch]  # domain -> its samples


@dataclass(frozen=True)
class MicroBatch:
    """parts: samples by domain. extra: those of further batches, for methods that use them."""

    parts: Parts
    extra: Sequence[Parts] = ()

    def count(self, domain: str, task: str) -> int:
        """Return the number of samples of ``domain`` with a label of ``task``."""
        batch = self.parts.get(domain)
        mask = None if batch is None else (batch.labelled or {}).get(task)
        return 0 if batch is None else len(batch) if mask is None else int(mask.sum())

    def has_labels(self, data: Data) -> bool:
        """Return True if any sample has a label of any objective."""
        return any(self.count(o.domain, o.task.name) > 0 for o in data.objectives)


class Drawing:
    """The draws of a training, from streams whose position is their whole state.

    Samples without a target of every task are never drawn.

    Args:
        data: what to draw from.
        recipe: size of a batch, and of its parts.
        seed: of the streams.
    """

    def __init__(self, data: Data, recipe: Recipe, seed: int) -> None:
        self.data = data
        self.size = max(1, recipe.batch_size // recipe.accumulate)  # of a micro-batch
        sources = {name: d.splits["train"] for name, d in data.domains.items()}
        found = {name: data.rows(name, "train") for name in sources}
        rows = {name: own for name, own in found.items() if own is not None}
        self.streams = Streams({name: len(rows.get(name, source)) for name, source in sources.items()}, seed)
        share = recipe.batch_size // recipe.accumulate // len(sources)  # of a domain, if all are equal
        self.reader = Reader(sources, self.streams, max(1, share), rows)

    def micro_batch(self, number: int, rates: Tensor | None, mixing: torch.Generator, extra: int = 0) -> MicroBatch:
        """Draw the micro-batch ``number`` of an epoch, and ``extra`` more like it; ``rates``: of sampling, or None."""
        names = list(self.data.domains)

        def draw(rates: Tensor | None) -> Parts:
            if len(names) == 1:
                counts = {names[0]: self.size}
            elif rates is None:
                counts = equal_counts(names, self.size, number)
            else:
                counts = multinomial_counts(names, rates, self.size, mixing)
            return {name: self.reader.take(name, count) for name, count in counts.items()}

        return MicroBatch(draw(rates), [draw(None) for _ in range(extra)])


class Labels:
    """The numbers of labels of the micro-batches of one step, for objectives that some samples have no label of.

    The loss of such an objective is the mean over its labelled samples of the whole step, as without micro-batches: a
    micro-batch counts by its share of them.

    Args:
        step: the micro-batches.
        data: its objectives.
    """

    def __init__(self, step: Sequence[MicroBatch], data: Data) -> None:
        self._parts = len(step)
        self._counts: dict[str, list[int]] = {}
        for o in data.objectives:
            batches = [m.parts[o.domain] for m in step if o.domain in m.parts]
            if any(o.task.name in (batch.labelled or {}) for batch in batches):
                self._counts[o.name] = [m.count(o.domain, o.task.name) for m in step]
        self._names = data.names
        self.tasks = [n for n in data.names if sum(self._counts.get(n, [1])) > 0]  # those with a loss in this step

    def scaled(self, losses: Mapping[str, Tensor], part: int) -> dict[str, Tensor | None]:
        """Return the losses of micro-batch ``part``, scaled so that they sum to the step's; None for a missing one."""
        return {n: self._scaled(n, losses[n], part) if n in losses else None for n in self._names}

    def _scaled(self, name: str, loss: Tensor, part: int) -> Tensor:
        if self._parts == 1:
            return loss
        return loss * self._share(name, part) if name in self._counts else loss / self._parts

    def _share(self, name: str, part: int) -> float:
        return self._counts[name][part] / sum(self._counts[name])

    @property
    def totals(self) -> dict[str, float] | None:
        """The numbers of labels in the step, for processes that share it; None if no objective lacks any."""
        return {n: float(sum(own)) for n, own in self._counts.items()} or None
