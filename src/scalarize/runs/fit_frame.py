"""Training on a data frame in memory, without a run directory: what the estimator does in ``fit``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from scalarize import methods
from scalarize.learners.recipe import Recipe
from scalarize.learners.supervised import SupervisedLearner
from scalarize.methods import Method
from scalarize.runs import model_selection
from scalarize.runs.model_selection import Selection
from scalarize.runs.saved_model import SavedModel, restore
from scalarize.runs.task_score import TaskScore
from scalarize.search.score import create as create_score
from scalarize.tasks.samples import TensorTable
from scalarize.tasks.task import Data, Domain
from scalarize.utils.errors import RequestError
from scalarize.weights.policy import Policy
from scalarize.workloads.models import tabular
from scalarize.workloads.models.sharing.names import VECTORS, override
from scalarize.workloads.table import encodings, splits
from scalarize.workloads.table.cells import understand
from scalarize.workloads.table.fitted import FittedTable
from scalarize.workloads.table.inputs import leave_out
from scalarize.workloads.table.options import INPUT_KINDS, TableOptions
from scalarize.workloads.table.own_table import DOMAIN
from scalarize.workloads.table.targets import pose
from scalarize.workloads.table.workload import recipe_for

if TYPE_CHECKING:
    import pandas as pd

SMALLEST = 50  # rows below which none are set aside to choose the epoch on


@dataclass(frozen=True)
class FitRequest:
    """The choices of a training in memory.

    Args:
        method: name of the method that weighs tasks.
        weights: fixed weights, every target named, in its place. Default None.
        policy: a policy, in its place. Default None.
        score: by which the epoch is chosen, such as ``main=price``; None for the recipe's own choice.
        types: column -> kind, see :class:`~scalarize.workloads.table.options.TableOptions`.
        epochs: most epochs, None for the recipe's.
        settings: dotted keys of the recipe and their values.
        share: of the rows, set aside to choose the epoch on.
        seed: of everything random.
    """

    method: str
    weights: Mapping[str, float] | None = None
    policy: Policy | None = None
    score: str | None = None
    types: Mapping[str, str] = field(default_factory=dict)
    epochs: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    share: float = 0.15
    seed: int = 0

    def source(self, names: Sequence[str], epochs: int) -> Method:
        """Make the method. Raises RequestError if weights do not name every target, or two sources are given."""
        if self.weights is not None and self.policy is not None:
            raise RequestError("weights and policy exclude each other: name one source of weights")
        if self.policy is not None:
            return methods.replay(self.policy.reorder(names).stretch(epochs))
        if self.weights is not None:
            if set(self.weights) != set(names):
                raise RequestError(f"`weights`: name all of {', '.join(names)}")
            return methods.constant([self.weights[n] for n in names])
        method = methods.create(self.method)
        if method.has_view:  # heads see the representation through it, and the saved model has none
            raise RequestError(f"{method.name} turns the representation for each task: choose another method")
        return method


def fit(inputs: pd.DataFrame, targets: pd.DataFrame, request: FitRequest, keep: bool = False) -> SavedModel:
    """Train a model, choose its epoch on rows set aside, and train it again on all rows for as many.

    Args:
        inputs: N rows; every column that can be is an input.
        targets: N rows, a column a target; a missing label is NaN or None.
        request: the choices.
        keep: use every column, whatever it looks like. Default False: identifiers, constant and repeated columns are
            left out.

    Returns:
        The model; its facts hold ``epochs``, and the validation ``metrics`` of the first model.

    Raises:
        RequestError: a target or an option cannot be used.
    """
    options = TableOptions(types=dict(request.types), inputs=tuple(inputs.columns) if keep else ())
    options.check([*inputs.columns, *targets.columns], tuple(targets.columns), "the data")
    posed = [pose(name, targets[name], options) for name in targets.columns]
    asked = {name: kind for name, kind in options.types.items() if kind in INPUT_KINDS}
    columns = {name: understand(name, inputs[name], asked.get(name)) for name in inputs.columns}
    left = leave_out(columns, options, (), {})
    used = [column for name, column in columns.items() if name not in left]
    if not used:
        raise RequestError("no column is left as input: " + "; ".join(f"{k}: {v}" for k, v in list(left.items())[:5]))
    everything = np.arange(len(inputs))
    made = tuple(encodings.fit(column, everything) for column in used)
    table = FittedTable(made, tuple(t.fitted(v, everything) for t, v in posed), left)
    prepared = {t.name: torch.from_numpy(t.prepared(v)) for t, (_, v) in zip(table.targets, posed, strict=True)}
    known = {t.name: torch.from_numpy(~np.isnan(v)) for t, v in posed}
    labelled = {name: mask for name, mask in known.items() if not bool(mask.all())} or None
    rows = TensorTable(
        torch.from_numpy(encodings.matrices(made, columns, [slice(None)])[0]), prepared, labelled=labelled
    )
    parts = splits.stratified([t for t, _ in posed], [v for _, v in posed], (1 - request.share, request.share, 0.0),
                              request.seed, everything)  # fmt: skip
    apart = len(inputs) >= SMALLEST and len(parts.validation) > 0
    recipe = _recipe(request, len(parts.train) if apart else len(inputs))
    epochs, facts = recipe.epochs, dict[str, Any]()
    if apart:
        held = {"train": parts.train, "validation": parts.validation}
        epochs, facts = _choose_epoch(
            _data(table, {k: rows.select(torch.from_numpy(v)) for k, v in held.items()}), recipe, request
        )
    learner = _learner(_data(table, {"train": rows}, len(parts.train) if apart else None), recipe, request)
    learner.train(request.source(table_names(table), recipe.epochs), epochs)
    network = restore(recipe.model, table, [learner.state_dict()["model"]])
    return SavedModel(network, table, {"epochs": epochs, **facts})


def table_names(table: FittedTable) -> list[str]:
    """Return the names of a table's targets."""
    return [t.name for t in table.targets]


def _recipe(request: FitRequest, rows: int) -> Recipe:
    changes = dict(request.settings) | ({"epochs": request.epochs} if request.epochs is not None else {})
    return override(recipe_for(rows), changes, VECTORS, "a table")


def _data(table: FittedTable, parts: Mapping[str, TensorTable], epoch: int | None = None) -> Data:
    """Return the data of a training; an epoch has ``epoch`` samples, so that equal epochs are equal steps."""
    tasks = table.tasks
    made = Data.multi_task(tasks, Domain(DOMAIN, dict(parts)), **table.info)
    return made if epoch is None else Data(made.objectives, made.domains, epoch, made.info)


def _learner(data: Data, recipe: Recipe, request: FitRequest) -> SupervisedLearner:
    return SupervisedLearner(data, lambda: tabular.build(recipe.model, data), recipe, request.seed)


def _choose_epoch(data: Data, recipe: Recipe, request: FitRequest) -> tuple[int, dict[str, Any]]:
    """Return the epoch that is best on validation, and what was measured there."""
    select = None
    if request.score is not None:
        create_score(request.score, data.names)
        select = TaskScore(request.score, {o.name: o.task.higher_is_better for o in data.objectives}).of_measurements
    wanted = model_selection.criteria(recipe.selection, data, None, select)
    chosen, learner = Selection(wanted, recipe.selection == "last"), _learner(data, recipe, request)
    method, seen = request.source(data.names, recipe.epochs), {}
    while learner.epoch < recipe.epochs and not chosen.is_stale(learner.epoch, recipe.patience):
        learner.train(method, learner.epoch + 1)
        seen[learner.epoch] = learner.measure("validation")
        chosen.offer(seen[learner.epoch], learner.state_dict())
    best = chosen.epochs()[chosen.primary]
    return best, {"metrics": {task: values["metric"] for task, values in seen[best].items()}}
