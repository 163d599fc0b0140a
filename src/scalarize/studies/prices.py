"""The price of a training before it is run: one step measured on random samples of the data's shape, and counted up.

A step's price is linear in its samples; the optimiser and the drawing of samples are in it. One backward pass costs two
forward passes; a method that compares gradients of parameters makes one for each task, unless domains have passes of
their own. Models that there is no time to measure are priced by their floating-point operations, at the speed of the
nearest model of the same data that was measured.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import nn

from scalarize import methods
from scalarize.learners.independence import forward_flops
from scalarize.learners.passes import Price
from scalarize.learners.recipe import Recipe
from scalarize.learners.rl.rehearsal import rehearse
from scalarize.learners.supervised import SupervisedLearner
from scalarize.methods import Needs
from scalarize.runs.request import TrainRequest
from scalarize.runs.search import SearchRequest
from scalarize.tasks.task import Data
from scalarize.utils.clocks import clock_of
from scalarize.utils.seeds import fork_rng
from scalarize.workloads import Workload

SAMPLES = 2  # of a first measurement; more follow if it was quick
QUICK, SLOW = 0.2, 4.0  # seconds
FORWARD = 1 / 3  # share of a forward pass in a bare step

Run = TrainRequest | SearchRequest


@dataclass
class Model:
    """A model of a plan: what it costs, as far as it is known.

    data: of random samples. parameters: their number. flops: floating-point operations of a sample's forward pass.
    coupled: it couples samples, by batch statistics. step: seconds of a step beside its samples. sample: seconds of a
    step a sample, None if not measured.
    """

    workload: Workload
    data: Data
    recipe: Recipe
    parameters: int
    flops: float
    coupled: bool
    step: float = 0.0
    sample: float | None = None


@dataclass
class Prices:
    """Prices of trainings on one device.

    Args:
        device: of the trainings.
    """

    device: str
    models: dict[str, Model] = field(default_factory=dict)

    def look(self, workload: Workload, data: Data, request: Run) -> Model:
        """Return the model of a run; the first time it is built and its operations are counted."""
        recipe = request.recipe(workload)
        key = repr([workload.name, sorted(recipe.model.items()), sorted(recipe.data.items(), key=str)])
        if key not in self.models:
            built, flops = _looked_at(workload, data, recipe)
            coupled = any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in built.modules())
            parameters = sum(p.numel() for p in built.parameters())
            self.models[key] = Model(workload, data, recipe, parameters, flops, coupled)
        return self.models[key]

    def measure(self, model: Model) -> None:
        """Measure a step of a model, unless that was done, of it or of its like."""
        if model.sample is None and not any(m.sample is not None and _alike(m, model) for m in self.models.values()):
            own = model.workload.learner is not None
            model.step, model.sample = _rehearsed(model, self.device) if own else _step(model, self.device)

    def of(self, model: Model) -> tuple[float, float] | None:
        """Return the seconds of a step, and those a sample besides; None if nothing is known."""
        if model.sample is not None:
            return model.step, model.sample
        known = [m for m in self.models.values() if m.sample is not None]
        known = [m for m in known if _alike(m, model)] or [m for m in known if m.workload.build is model.workload.build]
        if not known:
            return None
        nearest = min(known, key=lambda m: abs(math.log(m.flops / model.flops)))
        assert nearest.sample is not None
        return nearest.step, nearest.sample * model.flops / nearest.flops


def _alike(one: Model, other: Model) -> bool:
    return one.parameters == other.parameters and one.recipe.model == other.recipe.model


class Amount(NamedTuple):
    """steps: updates of the parameters. trained: samples in them. measured: samples whose forward pass is evaluated."""

    steps: float
    trained: float
    measured: float


def amount(data: Data, workload: Workload, request: Run) -> Amount:
    """Return what a run amounts to; of a search, all its members together.

    Args:
        data: of the workload.
        workload: of the run.
        request: the run.
    """
    recipe = request.recipe(workload)
    names = [request.single] if isinstance(request, TrainRequest) and request.single else list(request.tasks or ())
    own = data.restrict(names) if names else data
    searched = isinstance(request, SearchRequest)
    share = request.split or 1.0
    epochs = recipe.epochs * (request.population if isinstance(request, SearchRequest) else 1)
    if workload.learner is not None:
        return Amount(float(epochs * own.epoch_size), 0.0, 0.0)
    steps = float(epochs * max(1, int(own.epoch_size * share) // recipe.batch_size))
    split = "train" if searched else "validation"
    seen = [d.splits[split] for d in own.domains.values() if split in d.splits]
    often = epochs / request.ready if isinstance(request, SearchRequest) else epochs
    held = (1 - share) if searched else 1.0
    return Amount(steps, steps * recipe.batch_size, often * held * sum(map(len, seen)))


def factor(request: Run, model: Model) -> float:
    """Return the price of a run's step over that of a bare one."""
    name = request.method if isinstance(request, TrainRequest) else None
    if name is None or name not in methods.names():
        return 1.0
    own, recipe = methods.get(name), request.recipe(model.workload)
    level = recipe.level or own.levels[0]
    if own.needs <= Needs.LOSSES or level == "representation" or model.workload.learner is not None:
        return 1.0
    if model.data.separate and not model.coupled and recipe.passes != "mixed":
        return 1.0  # each domain has a pass of its own
    tasks = len(request.tasks or model.data.names)
    return Price(FORWARD, 0.0).of(1, tasks)


def _looked_at(workload: Workload, data: Data, recipe: Recipe) -> tuple[Any, float]:
    """Return a model without numbers, and the operations of a sample's forward pass: by shapes alone if possible."""
    with fork_rng(0), torch.device("meta"):
        built: Any = workload.build(recipe.model, data)
    if workload.learner is not None:
        return built, float(sum(p.numel() for p in built.parameters()))
    inputs = next(iter(data.domains.values())).splits["train"].batch(torch.arange(1)).inputs
    tasks = [t.name for t in data.tasks]
    try:
        return built, forward_flops(built.eval(), inputs.to("meta"), tasks)
    except (RuntimeError, NotImplementedError):  # what it does depends on its inputs
        return built, forward_flops(built.to_empty(device="cpu"), inputs, tasks)


def _step(model: Model, device: str) -> tuple[float, float]:
    """Measure a step of the package's learner, of more samples while that is quick.

    Returns:
        Seconds of a step whatever the number of its samples, and seconds a sample besides.
    """
    data = model.data.restrict(model.data.names[:1]) if model.data.separate else model.data
    taken: dict[int, float] = {}
    for count in (SAMPLES, 4 * SAMPLES, 16 * SAMPLES, 64 * SAMPLES):
        taken[count] = _timed(model, data, min(count, model.recipe.batch_size), device)
        if taken[count] > (SLOW if len(taken) == 1 else QUICK):
            break
    most = max(taken)
    if len(taken) == 1:
        return 0.0, taken[most] / most
    a_sample = max(taken[most] - taken[SAMPLES], 0.1 * taken[most]) / (most - SAMPLES)
    return max(0.0, taken[SAMPLES] - SAMPLES * a_sample), a_sample


def _timed(model: Model, data: Data, count: int, device: str) -> float:
    """Return the seconds of a step of ``count`` samples: on a CPU those of the process."""
    clock = clock_of(torch.device(device))
    recipe = model.recipe.model_copy(update={"batch_size": count, "accumulate": 1, "epochs": 2})
    data = dataclasses.replace(data, epoch_size=2 * count)
    learner = SupervisedLearner(data, lambda: model.workload.build(recipe.model, data), recipe, 0, device)
    seconds = math.inf
    for epoch in (1, 2):  # one-time work is done in the first, and counts for little if that was slow
        start = clock()
        learner.train(methods.create("uniform"), epoch)
        seconds = min(seconds, (clock() - start) / 2)
        if seconds > QUICK:
            break
    return seconds


def _rehearsed(model: Model, device: str) -> tuple[float, float]:
    """Measure an update of a learner that does not learn from samples."""
    recipe = model.recipe
    learner: Any = model.workload.learner
    made = learner(model.data, lambda: model.workload.build(recipe.model, model.data), recipe, 0, device)
    made.use(methods.create("uniform"))
    return rehearse(made), 0.0


def disk(model: Model) -> int:
    """Return the bytes that a finished training leaves: its weights, in the main."""
    return 4 * model.parameters
