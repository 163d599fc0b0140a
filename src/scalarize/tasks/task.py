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

from scalarize.tasks import labels, metrics
from scalarize.tasks.measure import Measure
from scalarize.tasks.samples import Batch, Source, Streaming, select_rows, targets_of
from scalarize.tasks.splits import split_sources
from scalarize.utils.errors import RequestError, unknown_name_error

__all__ = ["Data", "Domain", "Measure", "Objective", "Task"]


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
        measured: returns what is measured of a source that is held out (:meth:`with_holdout`). Default: all.

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
    measured: Callable[[Any], Source] | None = None

    @classmethod
    def multi_task(cls, tasks: Sequence[Task], domain: Domain, **info: Any) -> Data:
        """Make the data of several tasks on one domain, with weights over tasks; an epoch is one pass over the domain,
        without the samples that lack a target of every task.

        ``tasks`` are in the order of the weights; for ``info`` see :class:`Data`.
        """
        objectives = tuple(Objective(t.name, t, domain.name) for t in tasks)
        return cls(objectives, {domain.name: domain}, len(domain.splits["train"]), info)._one_pass(domain.name)

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
        return cls(objectives, by_name, len(by_name[reference].splits["train"]), info)._one_pass(reference)

    def _one_pass(self, reference: str) -> Data:
        rows = self.rows(reference, "train")
        return self if rows is None else replace(self, epoch_size=len(rows))

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
        """Keep the objectives ``names`` only, and the samples that have a target of any; the epoch stays as long.

        Raises RequestError for an unknown name.
        """
        for name in names:
            if name not in self.names:
                raise unknown_name_error("task or domain", name, self.names)
        kept = tuple(o for o in self.objectives if o.name in set(names))
        domains = {o.domain: self.domains[o.domain] for o in kept}
        less = replace(self, objectives=kept, domains=domains)
        return replace(less, domains={name: less._with_labels(name) for name in domains})

    def rows(self, domain: str, split: str) -> Tensor | None:
        """Return the indices of the samples of ``split`` with a target of any task on ``domain``; None for all."""
        tasks = [o.task.name for o in self.objectives if o.domain == domain]
        return labels.rows_of_any(getattr(self.domains[domain].splits[split], "labelled", None), tasks)

    def _with_labels(self, name: str) -> Domain:
        """Return the domain ``name`` without samples that lack a target of every task on it."""
        domain = self.domains[name]
        return replace(domain, splits={k: select_rows(v, self.rows(name, k)) for k, v in domain.splits.items()})

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
        trained = {name: d.splits["train"] for name, d in self.domains.items()}
        domains = {}
        for name, (a, b) in split_sources(trained, share, seed).items():
            held = trained[name].select(b)
            splits = {"train": trained[name].select(a), "holdout": self.measured(held) if self.measured else held}
            domains[name] = replace(self.domains[name], splits=splits)
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
        disk. Raises RequestError if no sample has one.
        """
        task = objective.task
        known = {"loss": task.constant_loss, task.metric_name: task.constant_metric}.get(metric)
        if known is None:
            return None
        source = self.domains[objective.domain].splits[split]
        targets = targets_of(source, task.name, 2048 if isinstance(source, Streaming) else 100_000)
        if not len(targets):
            raise RequestError(f"no sample of the {split} split of {objective.domain!r} has a label of {task.name!r}")
        return known(targets)
