"""Evaluation of a model on one split of its data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from scalarize.tasks import labels
from scalarize.tasks.metrics import Generative, Metric
from scalarize.tasks.samples import Streaming, batches
from scalarize.tasks.task import Data, Objective
from scalarize.utils.errors import RequestError

Measurements = dict[str, dict[str, float]]
View = Callable[[Tensor, str], Tensor]


def head(model: Any, objective: Objective) -> str:
    """Return the name under which a model predicts an objective: its task's, or its own if domains have paths."""
    return objective.name if getattr(model, "by_domain", False) else objective.task.name


def heads(model: Any, objectives: Sequence[Objective]) -> list[str]:
    """Return the names under which a model predicts ``objectives``, each once; see :func:`head`."""
    return list(dict.fromkeys(head(model, o) for o in objectives))


def decode(model: Any, representation: Any, tasks: Sequence[str], view: View | None = None) -> dict[str, Any]:
    """Return a prediction for each of ``tasks``; ``view`` makes the input of each head from the representation."""
    if view is None:
        found: dict[str, Any] = model.decode(representation, tasks)
        return found
    return {t: model.decode(view(representation, t), [t])[t] for t in tasks}


@torch.no_grad()
def measure(
    model: Any,
    data: Data,
    split: str,
    batch_size: int,
    device: torch.device,
    losses_too: bool = True,
    view: View | None = None,
) -> Measurements:
    """Return {"metric", "loss", "score"} and further metrics by objective; score is the first metric, negated if
    lower is better.

    Measures for the test alone are there for the split ``test``. A task is measured on the samples that have its label.
    The loss is the mean over these, or over what the task counts (``units``), NaN unless ``losses_too``. The model is
    in evaluation mode meanwhile. Raises RequestError if the split is empty, or has no label of a task.
    """
    found: Measurements = {}
    double = next(model.parameters()).dtype == torch.float64
    model.eval()
    for name, domain in data.domains.items():
        objectives = [o for o in data.objectives if o.domain == name]
        meters: dict[str, dict[str, Metric | Generative]] = {o.name: {"metric": o.task.metric()} for o in objectives}
        for o in objectives:
            meters[o.name] |= {m.name: m.metric() for m in o.task.extra_metrics if split == "test" or not m.test_only}
        told = {n: [m for m in own.values() if not isinstance(m, Generative)] for n, own in meters.items()}
        free = {n: [m for m in own.values() if isinstance(m, Generative)] for n, own in meters.items()}
        losses = {o.name: torch.zeros((), dtype=torch.float64, device=device) for o in objectives}
        counts: dict[str, Any] = {o.name: 0 for o in objectives}
        seen = {o.name: 0 for o in objectives}
        source = domain.splits[split]
        if not len(source):
            raise RequestError(f"the {split} split of {name!r} holds no samples: there is nothing to measure on")
        size = max(1, batch_size // 4) if isinstance(source, Streaming) else batch_size  # several are read ahead
        for read in batches(source, torch.split(torch.arange(len(source)), size)):
            batch = read.to(device)
            batch = batch.to_float64() if double else batch
            predictions = decode(model, model.encode(batch.inputs), [head(model, o) for o in objectives], view)
            for o in objectives:
                rows = labels.rows(batch.labelled, o.task.name)
                if rows is not None and not len(rows):
                    continue
                inputs, prediction, target = batch.inputs, predictions[head(model, o)], batch.targets[o.task.name]
                if rows is not None:
                    rows = rows.to(target.device)
                    inputs = inputs[rows] if free[o.name] else inputs
                    prediction, target = prediction[rows], target[rows]
                seen[o.name] += len(target)
                for meter in told[o.name]:
                    meter.update(prediction, target)
                for writer in free[o.name]:
                    writer.generate(model, inputs, target)
                if losses_too:
                    count: Any = len(target) if o.task.units is None else o.task.units(target)
                    losses[o.name] += o.task.loss(prediction, target).double() * count
                    counts[o.name] += count
        for o in objectives:
            if not seen[o.name]:
                raise RequestError(f"no sample of the {split} split of {name!r} has a label of {o.name!r}")
            values = {key: meter.compute() for key, meter in meters[o.name].items()}
            loss = float(losses[o.name]) / float(counts[o.name]) if losses_too else float("nan")
            values["score"] = values["metric"] if o.task.higher_is_better else -values["metric"]
            found[o.name] = values | {"loss": loss}
    model.train()
    return {o.name: found[o.name] for o in data.objectives}
