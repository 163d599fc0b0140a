"""Rows of the comparisons and their regularisation: settings of the paper's section 4.1 and published scripts.

As in the scripts, RLW's weights sum to the number of tasks, and GradDrop and its sign-agnostic twin are rescaled to the
norm of the plain sum: l2 weighs against all of them as it does against plain training. Our GradDrop masks each entry of
a sample's representation; theirs multiplies the tasks' gradients with the sign of the representation, sums over the
batch and masks a feature in all samples alike. Our MGDA is exact, theirs stops after 250 steps. IMTL's loss scales
follow the schedule of the learning rate; theirs keep the first rate. All of it is said on the pages (``STATED``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scalarize.runs.plan import PlannedRun
from scalarize.runs.request import train_request
from scalarize.studies.context import Context
from scalarize.studies.method_rows import Row, extra_rows
from scalarize.utils.errors import RequestError

UNITARY = Row("unitary", "unitary")
ROWS = (
    UNITARY,
    Row("imtl", "imtl", level="representation"),
    Row("mgda", "mgda", {"normalization": "loss+"}, level="representation"),
    Row("graddrop", "graddrop", {"renormalize": True}, level="representation"),
    Row("pcgrad", "pcgrad"),
    Row("rlw-dirichlet", "rlw", {"distribution": "dirichlet", "times_tasks": True}),
    Row("rlw-normal", "rlw", {"distribution": "normal", "times_tasks": True}),
)
AGNOSTIC = Row("graddrop-agnostic", "sign-agnostic-graddrop", {"p": 0.75, "renormalize": True}, level="representation")

REGULARISED, PLAIN, L2, L2_PLUS = "regularised", "plain", "l2", "l2+"
ONLY_L2 = {L2: 1e-4, L2_PLUS: 2e-3}
STATED = (
    "GradDrop masks entries of each sample's representation (theirs: features of all samples alike, by gradients times "
    "the representation's sign)",
    "MGDA's weights are exact (theirs: at most 250 steps); IMTL's loss scales follow the schedule (theirs: constant)",
)
LOOKS = 100, 12  # the summed gradient: every 100 updates, which is 12 times an epoch of CelebA


@dataclass(frozen=True)
class TrainingProtocol:
    """Settings of a comparison.

    ``seeds``: the number of runs in the paper. ``l2``: weight decay by row, 0 for its others; rows that are not in the
    paper get that of plain training (our choice). ``slower``: factors of the learning rate. ``stated``: how the data
    and the model differ from the scripts'.
    """

    workload: str
    seeds: int
    l2: Mapping[str, float] = field(default_factory=dict)
    slower: Mapping[str, float] = field(default_factory=dict)
    stated: tuple[str, ...] = ()

    def settings(self, context: Context, row: Row, kind: str) -> dict[str, Any]:
        """Return the recipe's settings for ``row`` of ``kind``.

        ``kind`` is regularised (by the weight decay that was asked for, or its own), plain (no dropout, no l2), or l2
        alone. A learning rate that was asked for is that of all rows.

        Raises RequestError for a workload whose model has no dropout to leave out.
        """
        recipe = context.problem.recipe(context.workload)
        found: dict[str, Any] = {}
        if row.name in self.slower and "optimizer.lr" not in context.problem.settings:
            found["optimizer.lr"] = recipe.optimizer.lr * self.slower[row.name]
        if kind == REGULARISED:
            if "optimizer.weight_decay" in context.problem.settings:
                return found
            own = self.l2.get(row.name if row in (*ROWS, AGNOSTIC) else UNITARY.name, 0.0)
            return found | {"optimizer.weight_decay": own}
        if "dropout" not in recipe.model:
            raise RequestError(f"`workload` {context.workload.name}: its model has no dropout to leave out")
        return found | {"optimizer.weight_decay": ONLY_L2.get(kind, 0.0), "model.dropout": 0.0}


MULTI_MNIST = TrainingProtocol(
    "multi-mnist",
    10,
    stated=(
        "Dropout is drawn for each sample and rescaled (theirs: not rescaled, and in the encoder one mask a batch)",
        "48,000 training and 12,000 validation pictures, as Xin et al. have (theirs: 50,000 and 10,000)",
    ),
)
CELEBA = TrainingProtocol(
    "celeba-resnet",
    3,
    {
        **{"unitary": 1e-3, "imtl": 1e-3, "pcgrad": 1e-3},
        **{"mgda": 1e-4, "graddrop": 1e-4, "graddrop-agnostic": 1e-4, "rlw-dirichlet": 1e-4, "rlw-normal": 1e-4},
    },
    {"imtl": 0.5, "mgda": 0.5},
    (
        "The central 178 x 178 pixels of a face are resized (theirs: the whole face)",
        "One logit an attribute (theirs: two)",
    ),
)
CITYSCAPES = TrainingProtocol(
    "cityscapes",
    3,
    {"unitary": 1e-5, "imtl": 1e-5, "pcgrad": 1e-5},
    stated=(
        "The encoder starts from random weights (theirs: from those of ImageNet)",
        "Validation is a random fifth of the training pictures (theirs: the last fifth)",
    ),
)


def plan(context: Context, protocol: TrainingProtocol, kind: str, rows: Sequence[Row] = ROWS) -> list[PlannedRun]:
    """List every row at every seed. Targets that need the same runs share them."""
    steps = max(1, context.data.epoch_size // context.problem.recipe(context.workload).batch_size)
    every = min(LOOKS[0], max(1, steps // LOOKS[1]))
    planned = []
    for row in extra_rows(context, rows) if rows is ROWS else rows:
        settings = protocol.settings(context, row, kind)
        for seed in context.seeds_of(protocol.seeds):
            request = row.request(context.problem, seed, settings, norm_every=every)
            labels = {"row": row.name, "kind": kind, "seed": seed}
            name = f"{row.name} {protocol.workload} {kind} seed {seed}"
            planned.append(PlannedRun(name, request, labels, keep_records=True))
    return planned


def alone(context: Context, protocol: TrainingProtocol) -> list[PlannedRun]:
    """List one model per task, regularised as plain training is, selected by its own metrics: the base of Delta_m."""
    settings = protocol.settings(context, UNITARY, REGULARISED)
    recipe = context.problem.recipe(context.workload)
    if recipe.selection == "delta":
        settings["selection"] = "per-metric"
    planned = []
    for seed in context.seeds_of(protocol.seeds):
        for task in context.data.names:
            tuned = UNITARY.request(context.problem, seed, settings)
            request = train_request(tuned, seed=seed, method=UNITARY.method, single=task)
            labels = {"row": "single", "kind": REGULARISED, "seed": seed}
            planned.append(PlannedRun(f"single {task} {protocol.workload} seed {seed}", request, labels))
    return planned
