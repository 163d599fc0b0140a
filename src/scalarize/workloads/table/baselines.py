"""Baselines of a table: what a user would have without a network, one model a task, in the same units and metrics."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from scalarize.tasks.task import Data
from scalarize.utils.errors import unknown_name_error

NAMES = ("constant", "linear", "boosting")
ROWS = 50_000  # rows that a baseline is fitted to, evenly spaced, if there are more
CODES = 1_000  # most frequent codes of categories that become columns of the linear model
MOST_CODES = 255  # codes of one category that scikit-learn's trees can tell apart

Array = np.ndarray[Any, Any]
Predict = Callable[[Array], Array]


class Baseline(nn.Module):
    """A baseline fitted to every task of a prepared table, as a model with ``encode`` and ``decode``.

    ``linear`` is ridge regression, its penalty chosen by leave-one-out error, or logistic regression, on numbers and
    one-hot codes. ``boosting`` is scikit-learn's HistGradientBoosting with its defaults and native categories.
    ``constant`` is the mean, or the classes' shares.

    Args:
        name: one of :data:`NAMES`.
        data: a prepared table; each task is fitted to the training rows, of all domains, that it has labels of.

    Raises:
        RequestError: the name is unknown; the nearest is named.
    """

    def __init__(self, name: str, data: Data) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(()))  # evaluation asks a model for the type of its parameters
        self.predictors = {}
        for task in data.tasks:
            inputs, target = training_rows(data, task.name)
            link = data.info.get("links", {}).get(task.name, "identity")
            self.predictors[task.name] = fit(name, inputs, data.info["categories"], target, link, task.outputs)

    def encode(self, inputs: Tensor) -> Tensor:
        """Return the inputs as they are."""
        return inputs

    def decode(self, representation: Tensor, tasks: Sequence[str]) -> dict[str, Tensor]:
        """Return predictions (B, outputs) for each of ``tasks``: logits, log rates or standardised values."""
        return {t: self.predictors[t](representation) for t in tasks}


def training_rows(data: Data, task: str) -> tuple[Tensor, Tensor]:
    """Return inputs (N, C) and targets (N,) of the training rows of all domains that ``task`` has labels of."""
    inputs, targets = [], []
    for name in dict.fromkeys(o.domain for o in data.objectives if o.task.name == task):
        source = data.domains[name].splits["train"]
        labelled: Mapping[str, Tensor] = getattr(source, "labelled", None) or {}
        rows = labelled[task].nonzero().reshape(-1) if task in labelled else torch.arange(len(source))
        batch = source.batch(rows[:: max(1, -(-len(rows) // ROWS))])
        inputs.append(batch.inputs)
        targets.append(batch.targets[task])
    return torch.cat(inputs), torch.cat(targets)


def fit(
    name: str, inputs: Tensor, categories: Sequence[int], target: Tensor, link: str, outputs: int
) -> Callable[[Tensor], Tensor]:
    """Fit one baseline to one task.

    Args:
        name: one of :data:`NAMES`.
        inputs: prepared rows (N, numbers + categories), the categories' codes last.
        categories: number of codes of each category.
        target: prepared targets (N,): standardised values, rates >= 0, or classes from 0.
        link: of the task's head: ``identity`` for values, ``exp`` for rates, else classes: ``softmax``, or ``sigmoid``
            of "above class k".
        outputs: number of the head's outputs.

    Returns:
        Prepared rows (B, numbers + categories) -> predictions (B, outputs), as the task's loss and metrics take them.

    Raises:
        RequestError: the name is unknown; the nearest is named.

    >>> rows, values = torch.arange(8.0).reshape(-1, 1), 2 * torch.arange(8.0)
    >>> fit("linear", rows, [], values, "identity", 1)(torch.tensor([[10.0]])).round()
    tensor([[20.]])
    """
    if name not in NAMES:
        raise unknown_name_error("baseline", name, NAMES)
    known, wanted = inputs.double().numpy(), target.double().numpy()
    if link in ("identity", "exp"):
        predict = _values(name, known, wanted, categories)
        as_output: Predict = _log if link == "exp" else _same
    else:
        predict = _classes(
            name, known, wanted.astype("int64"), categories, outputs if link == "softmax" else outputs + 1
        )
        as_output = _log if link == "softmax" else _above

    def predictor(rows: Tensor) -> Tensor:
        found = as_output(predict(rows.double().numpy())).reshape(len(rows), outputs)
        return torch.from_numpy(np.ascontiguousarray(found)).to(rows.dtype)

    return predictor


def _values(name: str, inputs: Array, values: Array, categories: Sequence[int]) -> Predict:
    from sklearn.ensemble import HistGradientBoostingRegressor
    from sklearn.linear_model import RidgeCV

    if name == "constant":
        return lambda rows: np.full(len(rows), values.mean())
    if name == "boosting":
        trees = HistGradientBoostingRegressor(categorical_features=_native(inputs, categories), random_state=0)
        return _quietly(lambda: trees.fit(inputs, values).predict)
    columns = one_hot(inputs, categories)
    ridge = RidgeCV(alphas=np.logspace(-2, 3, 11))
    predict = _quietly(lambda: ridge.fit(columns(inputs), values).predict)
    return lambda rows: predict(columns(rows))


def _classes(name: str, inputs: Array, codes: Array, categories: Sequence[int], classes: int) -> Predict:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression

    seen = np.unique(codes)
    if name == "constant" or len(seen) < 2:
        shares = np.bincount(codes, minlength=classes) / len(codes)
        return lambda rows: np.tile(shares, (len(rows), 1))
    if name == "boosting":
        trees = HistGradientBoostingClassifier(categorical_features=_native(inputs, categories), random_state=0)
        some = _quietly(lambda: trees.fit(inputs, codes).predict_proba)
    else:
        columns = one_hot(inputs, categories)
        logistic = LogisticRegression(max_iter=1000)
        on_columns = _quietly(lambda: logistic.fit(columns(inputs), codes).predict_proba)

        def some(rows: Array) -> Array:
            return on_columns(columns(rows))

    def probabilities(rows: Array) -> Array:
        found = np.zeros((len(rows), classes))
        found[:, seen] = some(rows)
        return found

    return probabilities


def _native(inputs: Array, categories: Sequence[int]) -> list[int] | None:
    """Return the places of the categories that trees take as such; larger ones stay numbers."""
    first = inputs.shape[1] - len(categories)
    return [first + k for k, size in enumerate(categories) if size <= MOST_CODES] or None


def one_hot(inputs: Array, categories: Sequence[int]) -> Callable[[Array], Array]:
    """Return a function that maps prepared rows to numbers beside a 0/1 column for each frequent code of a category."""
    first = inputs.shape[1] - len(categories)
    found = []
    for k in range(first, inputs.shape[1]):
        codes, counts = np.unique(inputs[:, k], return_counts=True)
        found += [(int(count), k, float(code)) for code, count in zip(codes, counts, strict=True)]
    kept = sorted(found, reverse=True)[:CODES]

    def columns(rows: Array) -> Array:
        hot = [rows[:, k] == code for _, k, code in kept]
        return np.column_stack([rows[:, :first], *hot]) if hot else rows[:, :first]

    return columns


def _quietly(fitted: Callable[[], Predict]) -> Predict:
    """Fit without scikit-learn's advice on convergence and conditioning, which is of no use to this caller."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fitted()


def _same(values: Array) -> Array:
    return values


def _log(positive: Array) -> Array:
    found: Array = np.log(np.maximum(positive, 1e-9))
    return found


def _above(probabilities: Array) -> Array:
    """Turn probabilities of classes (B, C) into logits (B, C-1) of "above class k"."""
    above = np.cumsum(probabilities[:, ::-1], axis=1)[:, ::-1][:, 1:]
    limit = math.log(1e9)
    found: Array = np.clip(np.log(np.maximum(above, 1e-12)) - np.log(np.maximum(1 - above, 1e-12)), -limit, limit)
    return found
