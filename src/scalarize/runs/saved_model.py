"""A trained model of a table as it is used: rows in, predictions in the table's own units and class names out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from scalarize.utils.errors import RequestError, RunError
from scalarize.workloads.models.sharing.names import HARD
from scalarize.workloads.models.tabular import skeleton
from scalarize.workloads.table.fitted import FittedTable
from scalarize.workloads.table.targets import Target

if TYPE_CHECKING:
    import pandas as pd

ROWS = 8192  # of a batch, so that memory does not grow with the table


class Network(nn.Module):
    """One or several models of the same targets: prepared inputs (N, C) in, one output (N, outputs) a target out.

    Args:
        members: models with ``encode`` and ``decode``, say of several seeds.
        targets: the targets, fitted.
        paths: domains that have a path each through the models of the one target. Default: none.
    """

    def __init__(self, members: Sequence[nn.Module], targets: Sequence[Target], paths: Sequence[str] = ()) -> None:
        super().__init__()
        self.members, self.targets, self.paths = nn.ModuleList(members), tuple(targets), tuple(paths)
        self.eval()

    def forward(self, inputs: Tensor, places: Tensor | None = None) -> tuple[Tensor, ...]:
        """Return the outputs in the order of the targets, members averaged; row n by the path ``places[n]``, (N,)."""
        names = self.paths or [t.name for t in self.targets]
        found = [m.decode(m.encode(inputs), names) for m in self.members]  # type: ignore[operator]
        if places is not None:
            rows, name = torch.arange(len(inputs)), self.targets[0].name
            found = [{name: torch.stack([f[d] for d in names], dim=1)[rows, places]} for f in found]
        return tuple(average(t, torch.stack([f[t.name].flatten(1) for f in found])) for t in self.targets)


def average(target: Target, outputs: Tensor) -> Tensor:
    """Return the output whose prediction is the mean of the predictions of several models.

    Args:
        target: its kind says how outputs become predictions, of classes their probabilities.
        outputs: of the K models, (K, N, outputs).

    Returns:
        Output (N, outputs).
    """
    if len(outputs) == 1:
        return outputs[0]
    many = math.log(len(outputs))
    if target.kind == "classes":
        return outputs.log_softmax(-1).logsumexp(0) - many
    if target.kind in ("binary", "ordinal"):
        return nn.functional.logsigmoid(outputs).logsumexp(0) - nn.functional.logsigmoid(-outputs).logsumexp(0)
    if target.kind == "count":
        return outputs.logsumexp(0) - many
    if target.kind == "log":
        return ((outputs * target.scale).logsumexp(0) - many) / target.scale
    return outputs.mean(0)


@dataclass(frozen=True)
class SavedModel:
    """A trained model with its preparation; :func:`scalarize.load` makes it from a directory.

    Args:
        network: the trained models.
        table: the preparation of inputs, and the way back from outputs.
        facts: about it, as a model card has them. Default: none.
    """

    network: Network
    table: FittedTable
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def targets(self) -> list[str]:
        """Names of the columns that are predicted."""
        return [t.name for t in self.table.targets]

    @property
    def columns(self) -> list[str]:
        """Names of the columns that are needed."""
        domain = [self.table.domain[0]] if self.network.paths and self.table.domain else []
        return [*self.table.columns, *(name for name in domain if name not in self.table.columns)]

    def predict(self, frame: Any, probabilities: bool = False) -> pd.DataFrame:
        """Predict the targets of rows.

        Args:
            frame: rows, a data frame of pandas or polars with the columns that were inputs in training, in any order;
                other columns are ignored, the targets' own too. N rows.
            probabilities: add a column ``TARGET: CLASS`` for every class of a target. Default False.

        Returns:
            A data frame of N rows in the same order and with the same index: one column a target, numbers in their
            units, classes by their names; no value is missing.

        Raises:
            RequestError: a column is absent, or holds another kind of values than in training, or a row is of a domain
                that the model has no path for.
            RunError: a prediction is not finite.
        """
        rows = as_frame(frame)
        inputs = self.table.inputs(rows)
        double = next(self.network.parameters()).dtype == torch.float64
        given = [inputs.double() if double else inputs] + ([self.table.places(rows)] if self.network.paths else [])
        with torch.inference_mode():
            parts = [self.network(*of) for of in zip(*(torch.split(g, ROWS) for g in given), strict=True)]
        outputs = {t.name: torch.cat([p[k] for p in parts]) for k, t in enumerate(self.table.targets)}
        found = self.table.undo(outputs, probabilities)
        for name in found.columns:
            if found[name].dtype.kind == "f" and not np.isfinite(found[name]).all():
                row = int(np.flatnonzero(~np.isfinite(found[name]))[0]) + 1
                raise RunError(f"row {row}: the prediction of {name!r} is not finite")
        found.index = rows.index
        return found


def as_frame(frame: Any) -> pd.DataFrame:
    """Return a data frame of pandas, with columns named by strings. Raises RequestError if it is no data frame."""
    import pandas as pd

    if not isinstance(frame, pd.DataFrame):
        if not hasattr(frame, "to_pandas"):
            raise RequestError(f"expected a data frame of pandas or polars, got {type(frame).__name__}")
        frame = frame.to_pandas()
    named: pd.DataFrame = frame.set_axis([str(c) for c in frame.columns], axis=1)
    twice = named.columns[named.columns.duplicated()]
    if len(twice):
        raise RequestError(f"two columns are called {twice[0]!r}; give each a name of its own")
    return named


def restore(settings: Mapping[str, Any], table: FittedTable, states: Sequence[Mapping[str, Tensor]]) -> Network:
    """Make the trained models from their tensors.

    Args:
        settings: of the model, as the recipe has them.
        table: the fitted table, with the targets that the models have heads for.
        states: ``state_dict`` of each model.

    Returns:
        The network, in evaluation mode.

    Raises:
        RequestError: the tensors do not fit the settings.
    """
    domains = table.domain[1] if table.domain is not None and len(table.targets) == 1 else ()
    paths = domains if settings.get("sharing", HARD) != HARD and len(domains) > 1 else ()
    members = []
    for state in states:
        try:
            with torch.device("meta"):  # shapes alone: the tensors are those of the state
                model = skeleton(settings, table.info, {t.name: t.outputs for t in table.targets}, paths or None)
            model.load_state_dict(dict(state), assign=True)
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            reason = str(error).splitlines()[-1].strip() if str(error) else type(error).__name__
            raise RequestError(f"the tensors do not fit the settings of the model: {reason}") from None
        members.append(model)
    return Network(members, table.targets, paths)
