"""The trainings behind figures 4, 5 and E and supplement, figure 1: which learning rates, batches, sizes and weights.

Values that the paper states are its own; what it leaves open is marked as our choice.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from scalarize.runs.request import train_request
from scalarize.studies import axes
from scalarize.studies.royer2023 import tuning
from scalarize.studies.scoring import SHARE
from scalarize.studies.study import Context, PlannedRun
from scalarize.weights import simplex
from scalarize.weights.policy import Policy
from scalarize.workloads.sizes import Size

SEEDS = {"domainnet": 2, "taskonomy-tiny": 2}  # 3 elsewhere (section 3.3)
AXIS_RATES = (1 / 3, 1.0, 3.0)  # figure 5 does not report its sweep: our choice
BATCHES = (0.5, 1.0, 2.0)  # figures 5 and E do not report theirs: our choice
ONE_BATCH = ("taskonomy-tiny",)  # "n/a" in figure 5a
# Section 3.3 sweeps "the depth of the encoder" and names no values: those of DomainNet's encoders, our choice.
ENCODERS = {"taskonomy-tiny": (26, 50, 101)}
LOOKS = 32  # batches probed in an epoch, at most (the paper probes all of them)


@dataclasses.dataclass(frozen=True)
class Course:
    """Trainings followed over their epochs: methods, factors of the recipe's learning rate and batch, sizes if the
    workload has them (else its own). parted: without a validation split they train on a part of the training set, so
    that accuracy is known at every epoch.
    """

    methods: tuple[str, ...] = ("uniform",)
    rates: tuple[float, ...] = (1.0,)
    batches: tuple[float, ...] = (1.0,)
    depths: tuple[Any, ...] = ()
    widths: tuple[float, ...] = ()
    parted: bool = False

    def sizes(self, known: Sequence[Size]) -> list[Size]:
        """Return those of the sizes known that the figure shows; all of them if it shows none of them."""
        wanted = [s for s in known if s.depth in (self.depths or (s.depth,)) and s.width in (self.widths or (s.width,))]
        return wanted or list(known)


# Of CelebA's 5e-4: 5e-4, 5e-3, 1e-2.
FIGURE_4 = Course(("uniform", "pcgrad"), (1.0, 10.0, 20.0), depths=(3, 6, 9), widths=(0.5, 0.75, 1.0))
# The learning rates are those of DomainNet's own sweep (appendix 1.1): 0.3, 0.03, 0.003, 0.0003.
FIGURE_E = Course(rates=tuning.RATES, batches=BATCHES)
# Of CelebA's 5e-4: 5e-4, 5e-3, 5e-2 (1a and b).
SUPPLEMENT = Course(rates=(1.0, 10.0, 100.0), depths=(3, 9), widths=(0.5, 1.0), parted=True)
# 1c names no values: learning rates of its own sweep, all sizes.
SUPPLEMENT_OF = {"domainnet": Course(rates=tuning.RATES, parted=True)}


def course_plan(context: Context, course: Course) -> list[PlannedRun]:
    """List training with even weights and with the given methods at several learning rates, batches and sizes."""
    recipe = context.problem.recipe(context.workload)
    rates = context.budget.thin(axes.rates(recipe.optimizer.lr, course.rates))
    batches = context.budget.thin(_batches(recipe.batch_size, course.batches))
    sizes = axes.thinned(context, course.sizes(context.sizes))
    parted = course.parted and not context.data.has("validation")
    planned = []
    for method, size, rate, batch in itertools.product(course.methods, sizes, rates, batches):
        settings = {"optimizer.lr": rate} | ({"batch_size": batch} if len(course.batches) > 1 else {})
        planned += _probed(context, size, settings, method, split=SHARE if parted else None)
    return planned


def axis_plan(context: Context) -> list[PlannedRun]:
    """List all combinations of learning rate, batch size, depth, width, shared decoder layers (figure 5) and weights
    (C3).
    """
    recipe, name = context.problem.recipe(context.workload), context.workload.name
    rates = context.budget.thin(axes.rates(recipe.optimizer.lr, AXIS_RATES))
    batches = context.budget.thin(_batches(recipe.batch_size, (1.0,) if name in ONE_BATCH else BATCHES))
    sizes = axes.thinned(context, _with_encoders(context.sizes, ENCODERS.get(name, ())))
    planned = []
    for size, rate, batch, weights in itertools.product(sizes, rates, batches, _weights(context).items()):
        settings = {"optimizer.lr": rate, "batch_size": batch}
        planned += _probed(context, size, settings, "uniform", weights)
    return planned


def _batches(base: int, factors: Sequence[float]) -> list[int]:
    return [max(1, int(base * f)) for f in factors]


def _with_encoders(sizes: Sequence[Size], depths: Sequence[int]) -> list[Size]:
    """Return each size with each depth of the encoder; the sizes as they are if there is none to choose."""
    if not depths:
        return list(sizes)
    return [
        dataclasses.replace(s, depth=d, settings=dict(s.settings) | {"model.depth": d}) for d in depths for s in sizes
    ]


def _weights(context: Context) -> dict[str, Any]:
    """Return name -> a policy's content; None is uniform. Halfway is the geometric mean (our choice)."""
    losses = context.data.constant_losses()
    ends = {"inverse-loss": 1.0, "halfway": 0.5}
    named: dict[str, Any] = {"uniform": None}
    for name, power in ends.items():
        weights = simplex.inverse(np.array([losses[n] for n in context.data.names]) ** power)
        named[name] = Policy.constant(dict(zip(context.data.names, weights.tolist(), strict=True))).to_dict()
    kept = context.budget.thin(["uniform", "halfway", "inverse-loss"])
    return {name: named[name] for name in kept}


def _probed(
    context: Context,
    size: Size,
    settings: dict[str, Any],
    method: str,
    weights: tuple[str, Any] | str = "uniform",
    split: float | None = None,
) -> list[PlannedRun]:
    name, content = (weights, None) if isinstance(weights, str) else weights
    problem = axes.with_settings(context.problem, size.settings | settings)
    recipe = problem.recipe(context.workload)
    steps = max(1, context.data.epoch_size // recipe.batch_size)
    every = max(1, steps // LOOKS)
    planned = []
    for seed in context.seeds_of(SEEDS.get(context.workload.name, 3)):
        source: dict[str, Any] = {"method": method} if content is None else {"policy": content}
        request = train_request(problem, seed=seed, probe_every=every, split=split, **source)
        labels = {"method": method, "rate": recipe.optimizer.lr, "batch": recipe.batch_size}
        labels |= axes.labels_of(size) | {"weights": name, "seed": seed}
        parts = (method, f"lr {recipe.optimizer.lr:g}", f"batch {recipe.batch_size}", size.name.replace(",", ""), name)
        planned.append(PlannedRun(f"conflict {' '.join(parts)} seed {seed}", request, labels))
    return planned
