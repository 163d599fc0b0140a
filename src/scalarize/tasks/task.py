"""Tasks, domains, and the data of a training: what is learned, from where, and how it is measured.

Multi-task learning is several tasks on one domain; multi-domain learning one task on several domains; tasks that
each bring their own data are the general case. What the weights are over is an *objective*: one task on one domain.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from scalarize.tasks import metrics
from scalarize.tasks.samples import Batch, Source, Streaming, split_groups, split_indices
from scalarize.utils.errors import RequestError, unknown_name_error


@dataclass(frozen=True)
class Measure:
    """A metric beside a task's first one: it is recorded and can be selected by, and enters no average.

    test_only: too slow for every validation; it is taken when the test split is read, once, and nothing selects by it.
    """

    name: str
    metric: Callable[[], metrics.Metric | metrics.Generative]
    higher_is_better: bool = True
    test_only: bool = False


@dataclass(frozen=True)
class Task:
    """What is predicted: a name, the size of its output, a loss, a metric and which way is better.

    loss: (prediction, target) -> scalar, the mean over samples. metric: makes a fresh accumulator for a split.
    constant_loss: targets (N, ...) -> loss of the best constant predictor on them, or None where there is none.
    extra_metrics: other metrics, as dense tasks have. units: targets -> how many things (tokens) the loss is the mean
    over, None for samples. constant_metric: as constant_loss, of the metric.
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
        """Whether higher is better, for each metric by name, the first one first."""
        return {self.metric_name: self.higher_is_better} | {m.name: m.higher_is_better for m in self.extra_metrics}


def binary(name: str, metric: Callable[[], metrics.Metric] = metrics.AUROC, metric_name: str = "auroc") -> Task:
    """A 0/1 target; one logit (B, 1); binary cross-entropy in nats."""

    def loss(prediction: Tensor, target: Tensor) -> Tensor:
        return functional.binary_cross_entropy_with_logits(prediction.reshape(target.shape), target)

    def constant(target: Tensor) -> float:
        return _entropy(torch.stack([target.double().mean(), 1 - target.double().mean()]))

    return Task(name, 1, loss, metric, metric_name, constant_loss=constant)


def multiclass(name: str, classes: int) -> Task:
    """One of ``classes`` classes (int64 targets); logits (B, C); cross-entropy in nats; accuracy."""

    def constant(target: Tensor) -> float:
        return _entropy(torch.bincount(target.reshape(-1), minlength=classes).double() / target.numel())

    return Task(name, classes, functional.cross_entropy, metrics.Accuracy, "accuracy", constant_loss=constant)


def regression(name: str) -> Task:
    """A real target (B,); one output (B, 1); squared error; metric (1 + Spearman)/2."""

    def loss(prediction: Tensor, target: Tensor) -> Tensor:
        return functional.mse_loss(prediction.reshape(target.shape), target)

    def constant(target: Tensor) -> float:
        return float(target.double().var(unbiased=False))

    return Task(name, 1, loss, metrics.RankAgreement, "rank-agreement", constant_loss=constant)


def _entropy(shares: Tensor) -> float:
    return float(-(shares * shares.clamp_min(1e-300).log()).sum())


@dataclass(frozen=True)
class Domain:
    """A stream of data: a name and a source a split (train, and any of validation, test, holdout).

    augment: (batch, generator) -> batch, applied to training batches on the training's device.
    """

    name: str
    splits: Mapping[str, Source]
    augment: Callable[[Batch, torch.Generator], Batch] | None = None


@dataclass(frozen=True)
class Objective:
    """One task on one domain: what a weight is over."""

    name: str
    task: Task
    domain: str


@dataclass(frozen=True)
class Data:
    """Everything that a training reads. ``epoch_size``: samples an epoch, whatever the weights are."""

    objectives: tuple[Objective, ...]
    domains: Mapping[str, Domain]
    epoch_size: int
    info: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def multi_task(cls, tasks: Sequence[Task], domain: Domain, **info: Any) -> Data:
        """Several tasks on one domain; weights are over tasks."""
        objectives = tuple(Objective(t.name, t, domain.name) for t in tasks)
        return cls(objectives, {domain.name: domain}, len(domain.splits["train"]), info)

    @classmethod
    def multi_domain(cls, task: Task, domains: Sequence[Domain], reference: str, **info: Any) -> Data:
        """One task on several domains; weights are over domains; an epoch is as long as ``reference``."""
        objectives = tuple(Objective(d.name, task, d.name) for d in domains)
        by_name = {d.name: d for d in domains}
        return cls(objectives, by_name, len(by_name[reference].splits["train"]), info)

    @property
    def names(self) -> list[str]:
        """What the weights are over, in order."""
        return [o.name for o in self.objectives]

    @property
    def tasks(self) -> list[Task]:
        """The distinct tasks, in order."""
        return list({o.task.name: o.task for o in self.objectives}.values())

    @property
    def separate(self) -> bool:
        """True where every objective has a domain to itself, so that weights can be sampling rates."""
        return len(self.objectives) > 1 and len({o.domain for o in self.objectives}) == len(self.objectives)

    @property
    def has_average(self) -> bool:
        """Whether a mean of the objectives' metrics means anything: higher is better for all of them, or for none."""
        return len({o.task.higher_is_better for o in self.objectives}) == 1

    def restrict(self, names: Sequence[str]) -> Data:
        """Only the objectives of ``names``; the length of an epoch stays. Raises RequestError for unknown ones."""
        for name in names:
            if name not in self.names:
                raise unknown_name_error("task or domain", name, self.names)
        kept = tuple(o for o in self.objectives if o.name in set(names))
        domains = {o.domain: self.domains[o.domain] for o in kept}
        return replace(self, objectives=kept, domains=domains)

    def has(self, split: str) -> bool:
        """Whether every domain has ``split``."""
        return all(split in d.splits for d in self.domains.values())

    def with_holdout(self, share: float, seed: int = 0) -> Data:
        """Train on ``share`` of the training set, keep the rest as split ``holdout``; validation and test vanish.

        The partition depends on ``seed`` alone and keeps groups whole, over all domains (Royer et al. 2023, section
        5: 70 % / 30 %).
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
        """The loss of each objective's best constant predictor. Raises RequestError where a task knows none."""
        losses = {}
        for o in self.objectives:
            loss = self.constant(o, "loss", split)
            if loss is None:
                raise RequestError(f"task {o.task.name!r} defines no constant predictor")
            losses[o.name] = loss
        return losses

    def constant(self, objective: Objective, metric: str, split: str = "train") -> float | None:
        """The loss, or the metric named, of an objective's best constant predictor; None where it is not known.

        Of sources on disk over 2,048 evenly spaced samples, of others over 100,000 at most.
        """
        task = objective.task
        known = {"loss": task.constant_loss, task.metric_name: task.constant_metric}.get(metric)
        if known is None:
            return None
        source = self.domains[objective.domain].splits[split]
        count = min(len(source), 2048 if isinstance(source, Streaming) else 100_000)
        indices = torch.linspace(0, len(source) - 1, count, dtype=torch.float64).round().long()
        return known(source.batch(indices).targets[task.name])
