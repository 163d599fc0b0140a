"""The forward pass of a batch: each objective's loss on its own samples."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from scalarize.learners.evaluation import View, decode, head, heads
from scalarize.tasks import labels
from scalarize.tasks.samples import Batch
from scalarize.tasks.task import Objective

Precision = Literal["float32", "bfloat16", "float16", "float64"]


class Forward(NamedTuple):
    """losses: by objective, with their graphs. representation: shared, (B, ...). units: of objectives whose task counts
    something else than samples (tokens, say), so many of them.
    """

    losses: dict[str, Tensor]
    representation: Any
    units: dict[str, Any]


def forward(
    model: Any,
    objectives: Sequence[Objective],
    parts: Mapping[str, Batch],
    double: bool = False,
    view: View | None = None,
) -> Forward:
    """Run one forward pass of a model on samples of several domains.

    Args:
        model: with ``encode`` and ``decode``.
        objectives: tasks, each on one of the domains.
        parts: domain -> its samples, already on the model's device.
        double: convert the samples to float64.
        view: what each head is given in place of the representation.

    Returns:
        The losses of the objectives, each the mean over the samples that have its label; none for one without any.
    """
    if len(parts) > 1 and getattr(model, "by_domain", False):  # each through its own path
        each = [forward(model, [o for o in objectives if o.domain == d], {d: own}, double) for d, own in parts.items()]
        units = {name: count for f in each for name, count in f.units.items()}
        return Forward({name: loss for f in each for name, loss in f.losses.items()}, None, units)
    own = list(parts.values())
    batch = type(own[0]).concat(own)
    batch = batch.to_float64() if double else batch
    ends = torch.tensor([len(part) for part in parts.values()]).cumsum(0).tolist()
    places = {name: slice(end - len(parts[name]), end) for name, end in zip(parts, ends, strict=True)}
    representation = model.encode(batch.inputs)
    predictions = decode(model, representation, heads(model, objectives), view)
    losses, units = {}, {}
    for o in objectives:
        at = places[o.domain] if len(places) > 1 else slice(None)
        prediction, target = predictions[head(model, o)][at], batch.targets[o.task.name][at]
        rows = labels.rows(parts[o.domain].labelled, o.task.name)
        if rows is not None:
            if not len(rows):
                continue
            rows = rows.to(target.device, non_blocking=True)
            prediction, target = prediction.index_select(0, rows), target.index_select(0, rows)
        losses[o.name] = o.task.loss(prediction, target)
        if o.task.units is not None:
            units[o.name] = o.task.units(target)
    return Forward(losses, representation, units)


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager[Any]:
    """Return a context in which torch computes at a lower precision, if one was asked for."""
    if precision in ("float32", "float64"):
        return contextlib.nullcontext()
    return torch.autocast(device.type, torch.bfloat16 if precision == "bfloat16" else torch.float16)
