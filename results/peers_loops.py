"""The same training by a bare loop, by scalarize, by LibMTL's Trainer and by TorchJD's documented loop.

Each loop gets a :class:`Case` and leaves what it trained in it. LibMTL's names are imported where they are used: it is
a checkout on the path, not a package of this project.
"""

from __future__ import annotations

import contextlib
import copy
import io
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

import scalarize

# row -> ours, with hyper-parameters; LibMTL's, with arguments; TorchJD's, with arguments
METHODS: dict[str, tuple[tuple[str, dict[str, Any]], tuple[str, dict[str, Any]], tuple[str, dict[str, Any]]]] = {
    "sum of the losses": (("unitary", {}), ("EW", {}), ("Sum", {})),
    "DWA": (("dwa", {}), ("DWA", {"T": 2.0}), ("DWA", {})),
    "PCGrad": (("pcgrad", {}), ("PCGrad", {}), ("PCGrad", {})),
    "MGDA": (("mgda", {}), ("MGDA", {"mgda_gn": "none"}), ("MGDA", {})),
    "CAGrad": (("cagrad", {"c": 0.5}), ("CAGrad", {"calpha": 0.5, "rescale": 0}), ("CAGrad", {"c": 0.5})),
    "UPGrad": (
        ("upgrad", {"regularization": 1e-4}),
        ("UPGrad", {"UPGrad_norm_eps": 1e-4, "UPGrad_reg_eps": 1e-4}),
        ("UPGrad", {}),
    ),
}
SCALARIZERS = ("Sum", "DWA")  # of TorchJD: they take losses; the others take gradients


class Batches:
    """What LibMTL takes for a DataLoader: batches of (inputs, labels by task), in the order of ``seed`` and the epoch.

    Args:
        inputs: pictures (N, 1, side, side).
        labels: labels (N,) by task.
        size: pictures in a batch; what is left over is left out.
        seed: of the order, which is another in each epoch; None: the order in which they stand.
    """

    def __init__(self, inputs: Tensor, labels: dict[str, Tensor], size: int, seed: int | None = None) -> None:
        self.inputs, self.labels, self.size, self.seed, self.epoch = inputs, labels, size, seed, 0

    def __len__(self) -> int:
        return len(self.inputs) // self.size

    def __iter__(self) -> Iterator[tuple[Tensor, dict[str, Tensor]]]:
        order = torch.arange(len(self.inputs))
        if self.seed is not None:
            order = torch.randperm(len(order), generator=torch.Generator().manual_seed(1000 * self.seed + self.epoch))
            self.epoch += 1
        for at in order[: len(self) * self.size].split(self.size):
            yield self.inputs[at], {task: labels[at] for task, labels in self.labels.items()}


@dataclass
class Case:
    """One training: the model as it begins, its data and its recipe (SGD with momentum 0.9).

    Args:
        encoder: pictures to features; trained in place.
        heads: features to logits, by task; trained in place.
        splits: batches of ``train``, ``validation`` and ``test``.
        epochs: number of epochs.
        lr: learning rate.

    Attributes:
        accuracy: one entry an epoch: accuracy by split and task.
        reported: epoch, from 0, whose test accuracy the trainer reports; None: the caller's choice.
        seconds: CPU time of the training, with a look at both splits after every epoch.
    """

    encoder: nn.Module
    heads: nn.ModuleDict
    splits: dict[str, Batches]
    epochs: int
    lr: float
    accuracy: list[dict[str, dict[str, float]]] = field(default_factory=list)
    reported: int | None = None
    seconds: float = 0.0

    def parameters(self) -> list[nn.Parameter]:
        return [*self.encoder.parameters(), *self.heads.parameters()]

    def optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=self.lr, momentum=0.9)

    def evaluate(self) -> None:
        """Look at both splits after an epoch, as LibMTL's trainer does."""
        self.accuracy.append({split: self._accuracy(self.splits[split]) for split in ("validation", "test")})

    @torch.no_grad()
    def _accuracy(self, batches: Batches) -> dict[str, float]:
        right = dict.fromkeys(self.heads, 0)
        for inputs, labels in batches:
            z = self.encoder(inputs)
            for task, head in self.heads.items():
                right[task] += int((head(z).argmax(dim=1) == labels[task]).sum())
        return {task: count / (len(batches) * batches.size) for task, count in right.items()}


def losses_of(case: Case, z: Tensor, labels: dict[str, Tensor]) -> dict[str, Tensor]:
    return {task: functional.cross_entropy(head(z), labels[task]) for task, head in case.heads.items()}


def bare(case: Case, row: str) -> None:
    """A loop that knows no weights: the sum of the losses."""
    optimizer = case.optimizer()
    for _ in range(case.epochs):
        for inputs, labels in case.splits["train"]:
            optimizer.zero_grad()
            torch.stack(list(losses_of(case, case.encoder(inputs), labels).values())).sum().backward()
            optimizer.step()
        case.evaluate()


def ours(case: Case, row: str) -> None:
    """The same loop, with the Balancer in place of the sum."""
    name, hyper = METHODS[row][0]
    optimizer = case.optimizer()
    steps = len(case.splits["train"])
    balancer = scalarize.Balancer(name, case.encoder.parameters(), steps_per_epoch=steps, **hyper)
    for _ in range(case.epochs):
        for inputs, labels in case.splits["train"]:
            optimizer.zero_grad()
            balancer.backward(losses_of(case, case.encoder(inputs), labels))
            optimizer.step()
        case.evaluate()


def torchjd(case: Case, row: str) -> None:
    """The loop of TorchJD's documentation: ``docs/source/examples/mtl.rst``, and of its scalarizers."""
    import torchjd.aggregation as aggregation
    import torchjd.scalarization as scalarization
    from torchjd.autojac import jac_to_grad, mtl_backward

    name, arguments = METHODS[row][2]
    rule = getattr(scalarization if name in SCALARIZERS else aggregation, name)(**arguments)
    optimizer = case.optimizer()
    for _ in range(case.epochs):
        for inputs, labels in case.splits["train"]:
            features = case.encoder(inputs)
            losses = list(losses_of(case, features, labels).values())
            if name in SCALARIZERS:
                rule(torch.stack(losses)).backward()
            else:
                mtl_backward(losses, features=features)
                jac_to_grad(case.encoder.parameters(), rule)
            optimizer.step()
            optimizer.zero_grad()
        if hasattr(rule, "step"):
            rule.step()
        case.evaluate()


def libmtl(case: Case, row: str) -> None:
    """LibMTL's Trainer, used as its ``examples/office/main.py`` uses it, on the CPU."""
    _trainer(case, *METHODS[row][1])


def inside_libmtl(case: Case, row: str) -> None:
    """The same Trainer, with the Balancer as one of its weightings."""
    import LibMTL.weighting
    from LibMTL.weighting.abstract_weighting import AbsWeighting

    name, hyper = METHODS[row][0]

    class Ours(AbsWeighting):  # type: ignore[misc, valid-type]
        def init_param(self) -> None:
            steps = len(case.splits["train"])
            self.balancer = scalarize.Balancer(name, self.encoder.parameters(), steps_per_epoch=steps, **hyper)

        def backward(self, losses: Tensor, **arguments: Any) -> Any:
            weights = self.balancer.backward(dict(zip(self.task_name, losses, strict=True))).weights
            return None if weights is None else weights.numpy()

    LibMTL.weighting.Ours = Ours
    _trainer(case, "Ours", {})


def _trainer(case: Case, weighting: str, arguments: dict[str, Any]) -> None:
    from LibMTL import Trainer
    from LibMTL.loss import CELoss
    from LibMTL.metrics import AccMetric

    class OnCPU(Trainer):  # type: ignore[misc, valid-type]
        """The Trainer takes the first GPU, whatever there is."""

        def _prepare_model(self, *arguments: Any) -> None:
            self.device = torch.device("cpu")
            super()._prepare_model(*arguments)

    tasks = {
        task: {"metrics": ["Acc"], "metrics_fn": AccMetric(), "loss_fn": CELoss(), "weight": [1]} for task in case.heads
    }
    with contextlib.redirect_stdout(io.StringIO()):
        trainer = OnCPU(
            task_dict=tasks,
            weighting=weighting,
            architecture="HPS",
            encoder_class=lambda: case.encoder,
            decoders=case.heads,
            rep_grad=False,
            multi_input=False,
            optim_param={"optim": "sgd", "lr": case.lr, "momentum": 0.9},
            scheduler_param=None,
            weight_args=arguments,
            arch_args={},
        )
        trainer.train(case.splits["train"], case.splits["test"], case.epochs, case.splits["validation"])
    case.reported = trainer.meter.best_result["epoch"]


LOOPS = {"bare": bare, "scalarize": ours, "LibMTL": libmtl, "inside LibMTL": inside_libmtl, "TorchJD": torchjd}


def trained(case: Case, package: str, row: str) -> Case:
    """Train a copy of ``case`` and return it; the model of ``case`` stays as it is."""
    own = copy.deepcopy(case)
    before = time.process_time()
    LOOPS[package](own, row)
    own.seconds = time.process_time() - before
    if not own.accuracy:  # LibMTL's trainer looks at the splits itself
        own.evaluate()
    return own
