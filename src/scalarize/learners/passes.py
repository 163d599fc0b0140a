"""The forward passes of a batch: one of all samples, or one for each domain, or task, of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from scalarize.balancer.balancer import Balancer
from scalarize.learners.evaluation import heads
from scalarize.learners.independence import forward_flops, independent
from scalarize.learners.recipe import Recipe
from scalarize.methods import Needs
from scalarize.tasks import labels
from scalarize.tasks.samples import Batch
from scalarize.tasks.task import Data, Domain, Objective
from scalarize.utils.errors import RequestError

LOOKED_AT = 8  # samples of the look at the model
GAIN = 0.8  # own passes are made if they cost less than this share of a common one
START = {"cpu": 6e6}  # the fixed cost of a pass, some 0.3 ms, in operations of such a device
START_ELSEWHERE = 1e10


class Pass(NamedTuple):
    """parts: samples by domain. objectives: those whose losses are taken from this pass."""

    parts: Mapping[str, Batch]
    objectives: Sequence[Objective]


class Price(NamedTuple):
    """The cost of passes in floating-point operations: ``sample`` forward, ``start`` whatever the number of samples."""

    sample: float
    start: float

    def of(self, samples: int, backwards: int) -> float:
        """Return the cost of one pass and its backwards; each goes through two products where the forward has one."""
        return self.start + self.sample * samples * (1 + 2 * backwards)


class Passes:
    """The division of a batch into forward passes.

    A method that compares gradients makes T backwards. Over one common pass each of them goes through all samples, also
    those of other domains or without a label of the task. Passes of their own give the same gradients, to rounding, if
    no module couples samples, as batch norm does. The division follows from shapes alone, never from time measured.

    Args:
        model: with ``encode`` and ``decode``.
        data: its objectives have the losses.
        recipe: ``passes`` says if the samples of a batch share one; ``auto`` looks at the model.
        balancer: with the method.
        device: of the model.

    Raises:
        RequestError: separate passes were asked for, and the method compares gradients of one representation.
    """

    def __init__(self, model: Any, data: Data, recipe: Recipe, balancer: Balancer, device: torch.device) -> None:
        self._model, self._data, self._device = model, data, device
        full = recipe.accumulate > 1 and recipe.accumulation == "full"
        deep = balancer.level == "parameters" and not balancer.method.has_view
        if recipe.passes == "separate" and not deep:
            raise RequestError("`settings` passes=separate needs level=parameters: there is one representation a batch")
        by_rows = balancer.method.needs >= (Needs.LOSSES if full else Needs.GRAMIAN)
        self._possible = recipe.passes == "separate" or (recipe.passes == "auto" and deep and by_rows)
        # Separate as asked for: all that counts is the number of samples that backwards go through.
        self._price: Price | None = Price(1.0, 0.0) if recipe.passes == "separate" else None

    def divide(self, parts: Mapping[str, Batch]) -> list[Pass]:
        """Divide the samples of ``parts``, by domain and on the model's device, into passes."""
        common = [Pass(parts, [o for o in self._data.objectives if o.domain in parts])]
        one_for_all = len(parts) == 1 and not any(batch.labelled for batch in parts.values())
        if one_for_all or not self._possible:
            return common
        if self._price is None:
            self._look()
            return self.divide(parts)
        price, own, cost = self._price, list[Pass](), 0.0
        for name, batch in parts.items():
            divided, spent = _of_domain(name, batch, [o for o in common[0].objectives if o.domain == name], price)
            own, cost = own + divided, cost + spent
        backwards = sum(len(_labelled(p.parts[o.domain], o)) > 0 for p in own for o in p.objectives)
        together = price.of(sum(map(len, parts.values())), backwards)
        return own if len(own) > 1 and cost < GAIN * together else common

    def _look(self) -> None:
        """Look at the model once: if samples are independent of each other, and what one costs."""
        count = max(2, -(-LOOKED_AT // len(self._data.domains)))
        batch = Batch.concat([_first(d, count, self._device) for d in self._data.domains.values()])
        double = next(self._model.parameters()).dtype == torch.float64
        inputs, tasks = (batch.to_float64() if double else batch).inputs, heads(self._model, self._data.objectives)
        self._possible = independent(self._model, inputs, tasks)
        if self._possible:
            start = START.get(self._device.type, START_ELSEWHERE)
            self._price = Price(forward_flops(self._model, inputs, tasks) / len(inputs), start)


def _first(domain: Domain, count: int, device: torch.device) -> Batch:
    """Return the first samples for training, as the model is given them."""
    source = domain.splits["train"]
    batch = source.batch(torch.arange(count) % len(source)).to(device)
    return domain.augment(batch, torch.Generator(device).manual_seed(0)) if domain.augment else batch


def _of_domain(name: str, batch: Batch, objectives: Sequence[Objective], price: Price) -> tuple[list[Pass], float]:
    """Return the passes of one domain, and their cost: one for each objective over its own samples if that costs less.

    An objective without a label in this batch has no pass."""
    rows = {o.name: _labelled(batch, o) for o in objectives}
    some = [o for o in objectives if len(rows[o.name])]
    common, own = price.of(len(batch), len(some)), sum(price.of(len(rows[o.name]), 1) for o in some)
    if own >= GAIN * common or not isinstance(batch.inputs, Tensor):
        return [Pass({name: batch}, some)] if some else [], common if some else 0.0
    return [Pass({name: _only(batch, o, rows[o.name])}, [o]) for o in some], own


def _labelled(batch: Batch, objective: Objective) -> Tensor:
    rows = labels.rows(batch.labelled, objective.task.name)
    return torch.arange(len(batch)) if rows is None else rows


def _only(batch: Batch, objective: Objective, rows: Tensor) -> Batch:
    target = batch.targets[objective.task.name]
    rows = rows.to(target.device, non_blocking=True)
    return Batch(batch.inputs.index_select(0, rows), {objective.task.name: target.index_select(0, rows)})
