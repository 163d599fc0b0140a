"""Appendix C.1: the grids over learning rate and regularisation, and the rows that are trained at each of their points.

The paper trained 720 models on Multi-MNIST (40 points), 1,008 on CelebA (63) and 1,960 on Cityscapes (70). Nine rows
other than scalarization follow from its text (GradNorm at four alphas); 18 rows per point on Multi-MNIST so leave nine
weights, 28 on Cityscapes nineteen: we read weights of 0.1 to 0.9 by 0.1, and 0.05 to 0.95 by 0.05. CelebA's 16 rows per
point are six more than the nine and equal weights; nothing says what they are (GradDrop, which table 3 leaves empty for
the paper itself, is none of them), so ours are 10 rows, 630 models. Its network is that of Sener and Koltun (2018), who
have no dropout. A workload without the grid's second setting is swept over the learning rate alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scalarize.runs.plan import PlannedRun
from scalarize.runs.request import train_request
from scalarize.studies.axes import swept, with_settings
from scalarize.studies.context import Context
from scalarize.studies.method_rows import Row, extra_rows

ALPHAS = (0.5, 1.0, 1.5, 2.0)
SEEDS = 1  # the paper states none
SCALARIZATION = "scalarization"
LR = "optimizer.lr"
# The normalisation of MGDA and its level are those of Sener and Koltun, whose code the paper uses.
ROWS = (
    Row("mgda", "mgda", {"normalization": "loss+"}, level="representation"),
    Row("pcgrad", "pcgrad"),
    Row("imtl", "imtl"),
    Row("rlw-normal", "rlw", {"distribution": "normal"}),
    Row("rlw-dirichlet", "rlw", {"distribution": "dirichlet"}),
    *(Row(f"gradnorm-{alpha:g}", "gradnorm", {"alpha": alpha, "form": "free"}) for alpha in ALPHAS),  # as released
)
SGD = {"optimizer.name": "sgd", "optimizer.momentum": 0.8, "batch_size": 256}
STEPS = {"schedule.name": "exponential", "schedule.decay": 0.85, "schedule.every": 30}


@dataclass(frozen=True)
class Grid:
    """A grid: ``values`` of ``setting``, and the learning ``rates``.

    ``weights`` are those of the first task, (0.5,) for equal weights only; further tasks share the rest.
    """

    workload: str
    rates: Sequence[float]
    setting: str
    values: Sequence[float]
    weights: Sequence[float]
    fixed: Mapping[str, Any] = field(default_factory=dict)
    stated: tuple[str, ...] = ()


MULTI_MNIST = Grid(
    "multi-mnist",
    (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0),
    "model.dropout",
    (0.1, 0.2, 0.3, 0.4, 0.5),
    tuple(k / 10 for k in range(1, 10)),
    {**SGD, **STEPS},
    ("100 epochs, which the paper does not state, are those of Kurin et al.",),
)
CELEBA = Grid(
    "celeba-resnet",
    (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0),
    "optimizer.weight_decay",
    (0.0, 1e-5, 5e-5, 1e-4, 5e-4, 1e-3, 5e-3),
    (),
    {**SGD, **STEPS, "model.dropout": 0.0},
    (
        "630 models, 10 rows at 63 points (the paper: 1,008, of which 378 are of rows that it does not name)",
        "50 epochs, which the paper does not state, are those of Kurin et al.",
    ),
)
CITYSCAPES = Grid(
    "cityscapes",
    tuple(10 ** (-k / 2) for k in range(10, 3, -1)),
    "optimizer.weight_decay",
    (0.0, *(10 ** (-k / 2) for k in range(12, 3, -1))),
    tuple(k / 20 for k in range(1, 20)),
    {"optimizer.name": "adam", "batch_size": 64},
    (
        "Weights from 0.05 to 0.95 are read off the number of models; early stopping is by metric",
        "The encoder starts from random weights (theirs: from those of ImageNet)",
    ),
)


def plan(context: Context, grid: Grid, methods: bool = True, weights: bool = True) -> list[PlannedRun]:
    """List every row at every point of the grid.

    Early stopping is on the validation average or, if the tasks' metrics have none (the paper does not say what it does
    then), by the workload's recipe. ``methods`` and ``weights`` say if rows other than scalarization, and weights other
    than equal ones, take part. A step that is not finite, as at the largest learning rates, is skipped and counted.
    """
    recipe = context.workload.recipe
    rates = swept(context, LR, grid.rates)
    values = swept(context, grid.setting, grid.values) if recipe.has(grid.setting) else [None]
    common = {**grid.fixed, "on_nonfinite": "skip"} | ({"selection": "best"} if context.data.has_average else {})
    own = context.problem.settings
    common = {k: v for k, v in common.items() if k not in own and recipe.has(k)}
    planned = []
    for rate, value, seed in itertools.product(rates, values, context.seeds_of(SEEDS)):
        settings = {**common, LR: rate} | ({} if value is None else {grid.setting: value})
        second = "" if value is None else f" {grid.setting.rpartition('.')[2]} {value:g}"
        point = f"lr {rate:g}{second} seed {seed}"
        labels = {"rate": rate, "value": value or 0.0, "seed": seed}
        for weight in _weights(context, grid, weights):
            content = shares(context.data.names, weight)
            tuned = with_settings(context.problem, settings)
            request = train_request(tuned, seed=seed, weights=content, read_train=True)
            name = f"{SCALARIZATION} {weight:g} {grid.workload} {point}" if weight else f"equal {grid.workload} {point}"
            planned.append(PlannedRun(name, request, {"row": SCALARIZATION, "weight": weight, **labels}))
        for row in extra_rows(context, ROWS) if methods else ():
            request = row.request(context.problem, seed, settings, read_train=True)
            named = {"row": row.name, "weight": None, **labels}
            planned.append(PlannedRun(f"{row.name} {grid.workload} {point}", request, named))
    return planned


def _weights(context: Context, grid: Grid, several: bool) -> list[float | None]:
    if not several or not grid.weights:
        return [None]
    return [*context.budget.thin(grid.weights)]


def shares(names: Sequence[str], weight: float | None) -> dict[str, float]:
    """Return ``weight`` for the first task, and the rest shared evenly; None: all alike.

    >>> shares(["a", "b", "c"], 0.5)
    {'a': 0.5, 'b': 0.25, 'c': 0.25}
    """
    if weight is None:
        return {name: 1 / len(names) for name in names}
    return {name: weight if k == 0 else (1 - weight) / (len(names) - 1) for k, name in enumerate(names)}
