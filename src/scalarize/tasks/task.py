"""Tasks, domains, and the data of a training.

Multi-task learning has several tasks on one domain; multi-domain learning has one task on several domains; in general
every task may bring data of its own. Weights are over *objectives*: an objective is one task on one domain.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from scalarize.tasks import metrics
from scalarize.tasks.samples import Batch, Source, Streaming, split_groups, split_indices
from scalarize.utils.errors import RequestError, unknown_name_error


@dataclass(frozen=True)
class Measure:
    """A further metric of a task: recorded, able to select a checkpoint, and part of no average.

    Args:
        name: name of the metric in records.
        metric: makes a fresh accumulator for a split.
        higher_is_better: direction of the metric. Default True.
        test_only: True for a metric that is too slow for every validation: it is computed once, on the test split, and
            nothing can be selected by it. Default False.

    >>> from scalarize.tasks.metrics import Accuracy
    >>> Measure("accuracy", Accuracy).higher_is_better
    True
    """

    name: str
    metric: Callable[[], metrics.Metric | metrics.Generative]
    higher_is_better: bool = True
    test_only: bool = False


@dataclass(frozen=True)
class Task:
    """A prediction task: a name, the size of its output, a loss, and a metric with its direction.

    :mod:`scalarize.tasks.kinds` makes the usual ones.

    Args:
        name: name of the task, unique in a training.
        outputs: number of outputs of the task's head.
        loss: (prediction, target) -> scalar tensor, the mean over samples.
        metric: makes a fresh accumulator (:class:`~scalarize.tasks.metrics.Metric`) for a split.
        metric_name: name of that metric in records.
        higher_is_better: direction of that metric. Default True.
        constant_loss: targets (N, ...) -> loss of the best constant predictor on them, a float. Default None: unknown.
        extra_metrics: further metrics to record. Default: none.
        units: targets (B, ...) -> number of units (such as tokens) that the loss is the mean over, a scalar tensor.
            Default None: samples.
        constant_metric: targets (N, ...) -> metric of the best constant predictor on them. Default None: unknown.

    >>> import torch
    >>> task = Task("price", 1, torch.nn.functional.l1_loss, metrics.AbsoluteError, "error", higher_is_better=False)
    >>> task.measures
    {'error': False}
    """

    name: str
    outputs: int
    loss: Callable[[Any, Tensor], Tensor]
    metric: Callable[[], metrics.Metric]
    metric_name: str
    higher_is_better: bool = True
    constant_loss: Callable[[Tensor], float] | None = None
    extra_metrics: tuple[Measure, ...] = ()
    units: Callable[[Tensor], Tensor] | None = None
    constant_metric: Callable[[Tensor], float] | None = None

    @property
    def measures(self) -> dict[str, bool]:
        """The names of the task's metrics, the first one first, each with True if higher is better."""
        return {self.metric_name: self.higher_is_better} | {m.name: m.higher_is_better for m in self.extra_metrics}


@dataclass(frozen=True)
class Domain:
    """A stream of data: a name and one source per split.

    Args:
        name: name of the domain, unique in a training.
        splits: source by split; ``train`` is required, ``validation``, ``test`` and ``holdout`` are optional.
        augment: (batch, generator) -> batch, applied to training batches on the training's device. Default: none.

    >>> import torch
    >>> from scalarize.tasks.samples import TensorTable
    >>> table = TensorTable(torch.zeros(5, 3), {"price": torch.zeros(5)})
    >>> len(Domain("houses", {"train": table}).splits["train"])
    5
    """

    name: str
    splits: Mapping[str, Source]
    augment: Callable[[Batch, torch.Generator], Batch] | None = None


@dataclass(frozen=True)
class Objective:
    """One task on one domain: the unit that has a weight.

    Args:
        name: name of the objective: the key of its weight.
        task: the task.
        domain: name of the domain that it is learned on.

    >>> from scalarize.tasks.kinds import multiclass
    >>> Objective("digit", multiclass("digit", 10), "photos").task.outputs
    10
    """

    name: str
    task: Task
    domain: str


@dataclass(frozen=True)
class Data:
    """The objectives, domains and epoch length of a training; :meth:`multi_task` and :meth:`multi_domain` make it.

    Args:
        objectives: the objectives, in the order of the weights.
        domains: domain by name; every objective's domain is among them.
        epoch_size: samples per epoch, whatever the weights are.
        info: plain facts about the data, recorded with a run. Default: none.

    >>> import torch
    >>> from scalarize.tasks.kinds import binary, regression
    >>> from scalarize.tasks.samples import TensorTable
    >>> table = TensorTable(torch.zeros(5, 3), {"price": torch.zeros(5), "sold": torch.zeros(5)})
    >>> data = Data.multi_task([regression("price"), binary("sold")], Domain("houses", {"train": table}))
    >>> data.names, data.epoch_size
    (['price', 'sold'], 5)
    """

    objectives: tuple[Objective, ...]
    domains: Mapping[str, Domain]
    epoch_size: int
    info: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def multi_task(cls, tasks: Sequence[Task], domain: Domain, **info: Any) -> Data:
        """Make the data of several tasks on one domain, with weights over tasks; an epoch is one pass over the domain.

        ``tasks`` are in the order of the weights; for ``info`` see :class:`Data`.
        """
        objectives = tuple(Objective(t.name, t, domain.name) for t in tasks)
        return cls(objectives, {domain.name: domain}, len(domain.splits["train"]), info)

    @classmethod
    def multi_domain(cls, task: Task, domains: Sequence[Domain], reference: str, **info: Any) -> Data:
        """Make the data of one task on several domains; weights are over domains.

        Args:
            task: the task.
            domains: the domains, in the order of the weights.
            reference: name of the domain whose training split sets the length of an epoch.
            info: see :class:`Data`.
        """
        objectives = tuple(Objective(d.name, task, d.name) for d in domains)
        by_name = {d.name: d for d in domains}
        return cls(objectives, by_name, len(by_name[reference].splits["train"]), info)

    @property
    def names(self) -> list[str]:
        """The names of the objectives, in the order of the weights."""
        return [o.name for o in self.objectives]

    @property
    def tasks(self) -> list[Task]:
        """The distinct tasks, in order."""
        return list({o.task.name: o.task for o in self.objectives}.values())

    @property
    def separate(self) -> bool:
        """True if every objective has a domain of its own, so that weights can be sampling rates."""
        return len(self.objectives) > 1 and len({o.domain for o in self.objectives}) == len(self.objectives)

    @property
    def has_average(self) -> bool:
        """True if the mean of the objectives' metrics is meaningful: higher is better for all of them, or for none."""
        return len({o.task.higher_is_better for o in self.objectives}) == 1

    def restrict(self, names: Sequence[str]) -> Data:
        """Keep the objectives ``names`` only; the epoch stays as long. Raises RequestError for an unknown name."""
        for name in names:
            if name not in self.names:
                raise unknown_name_error("task or domain", name, self.names)
        kept = tuple(o for o in self.objectives if o.name in set(names))
        domains = {o.domain: self.domains[o.domain] for o in kept}
        return replace(self, objectives=kept, domains=domains)

    def has(self, split: str) -> bool:
        """Return True if every domain has ``split``."""
        return all(split in d.splits for d in self.domains.values())

    def with_holdout(self, share: float, seed: int = 0) -> Data:
        """Train on a share of the training set and keep the rest as the split ``holdout``; other splits are removed.

        Groups of samples stay together, over all domains (Royer et al. 2023, section 5, train on 70 %). The partition
        depends on ``seed`` alone. Raises RequestError unless ``share`` lies between 0 and 1.
        """
        if not 0 < share < 1:
            raise RequestError(f"the share of the training set to train on must lie between 0 and 1, got {share}")
        groups = [g for d in self.domains.values() if (g := d.splits["train"].groups) is not None]
        distinct = torch.unique(torch.cat(groups)) if groups else None
        domains = {}
        for position, (name, domain) in enumerate(self.domains.items()):
            source = domain.splits["train"]
            if source.groups is None:
                train, holdout = split_indices(source, (share, 1 - share), seed * 1009 + position)
            else:
                train, holdout = split_groups(source.groups, (share, 1 - share), seed * 1009, distinct)
            domains[name] = replace(domain, splits={"train": source.select(train), "holdout": source.select(holdout)})
        return replace(self, domains=domains, epoch_size=max(1, round(self.epoch_size * share)))

    def constant_losses(self, split: str = "train") -> dict[str, float]:
        """Return the loss of each objective's best constant predictor. Raises RequestError if a task defines none."""
        losses = {}
        for o in self.objectives:
            loss = self.constant(o, "loss", split)
            if loss is None:
                raise RequestError(f"task {o.task.name!r} defines no constant predictor")
            losses[o.name] = loss
        return losses

    def constant(self, objective: Objective, metric: str, split: str = "train") -> float | None:
        """Return the loss or a metric of an objective's best constant predictor, or None if it is unknown.

        ``metric`` is ``loss`` or a metric's name. At most 100,000 targets are predicted, or 2,048 if they stream from
        disk.
        """
        task = objective.task
        known = {"loss": task.constant_loss, task.metric_name: task.constant_metric}.get(metric)
        if known is None:
            return None
        source = self.domains[objective.domain].splits[split]
        count = min(len(source), 2048 if isinstance(source, Streaming) else 100_000)
        indices = torch.linspace(0, len(source) - 1, count, dtype=torch.float64).round().long()
        return known(source.batch(indices).targets[task.name])
