"""A fitted table: what turns rows into inputs of a model, and its outputs into values, without the rows themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from scalarize.tasks.task import Task
from scalarize.utils.errors import RequestError
from scalarize.workloads.table import domains, encodings
from scalarize.workloads.table.encodings import Category, Encoding
from scalarize.workloads.table.targets import CLASSES, Target
from scalarize.workloads.table.tasks import task_of

if TYPE_CHECKING:
    import pandas as pd

FORMAT = "scalarize-table/1"


@dataclass(frozen=True)
class FittedTable:
    """Encodings of the inputs and the targets of a table, as fitted on its training rows.

    encodings: of the inputs, in order. targets: fitted. left_out: columns that are no inputs, and why. fingerprint:
    name, rows, columns, hash and kinds of the table. domain: column and its values, if rows come from several domains.
    split: how the rows were split, and their number by part.
    """

    encodings: tuple[Encoding, ...]
    targets: tuple[Target, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)
    fingerprint: Mapping[str, Any] = field(default_factory=dict)
    domain: tuple[str, tuple[str, ...]] | None = None
    split: Mapping[str, Any] = field(default_factory=dict)

    @property
    def info(self) -> dict[str, Any]:
        """Facts that a model's shape follows from: numbers of inputs, sizes of categories, outputs and links."""
        categories = [e.size for e in self.encodings if isinstance(e, Category)]
        numbers = sum(e.width for e in self.encodings if not isinstance(e, Category))
        return {
            "inputs": numbers + len(categories),
            "numbers": numbers,
            "categories": categories,
            "outputs": {t.name: t.outputs for t in self.targets},
            "links": {t.name: t.link for t in self.targets},
        }

    @property
    def tasks(self) -> list[Task]:
        """The tasks of the targets."""
        return [task_of(target) for target in self.targets]

    @property
    def columns(self) -> list[str]:
        """Names of the columns that are inputs."""
        return [encoding.name for encoding in self.encodings]

    def inputs(self, frame: pd.DataFrame) -> Tensor:
        """Prepare the inputs of rows.

        Args:
            frame: rows with all input columns, in any order; others are ignored.

        Returns:
            Inputs (N, C), float32, finite.

        Raises:
            RequestError: an input column is absent, or does not hold what it held in training.
        """
        absent = [name for name in self.columns if name not in frame.columns]
        if absent:
            raise RequestError(
                f"input column{'s' * (len(absent) > 1)} {', '.join(map(repr, absent))}: not in the table"
            )
        if not len(frame):
            return torch.zeros(0, self.info["inputs"])
        columns = {e.name: e.column(frame[e.name].reset_index(drop=True)) for e in self.encodings}
        prepared = torch.from_numpy(encodings.matrices(self.encodings, columns, [slice(None)])[0])
        if not bool(torch.isfinite(prepared).all()):
            row = int(torch.nonzero(~torch.isfinite(prepared).all(1))[0])
            raise RequestError(f"row {row + 1} holds numbers that are infinite, or too large for the model")
        return prepared

    def places(self, frame: pd.DataFrame) -> Tensor:
        """Return the place of each row's domain among those of the table, int64 (N,).

        Raises:
            RequestError: there is no domain column, or a row is of none of these domains.
        """
        column, names = self.domain or ("", ())
        if column not in frame.columns:
            raise RequestError(f"domain column {column!r}: not in the table")
        return torch.from_numpy(domains.places(column, frame[column], names))

    def undo(self, outputs: Mapping[str, Tensor], probabilities: bool = False) -> pd.DataFrame:
        """Turn a model's outputs into predictions in the table's own terms.

        Args:
            outputs: target -> outputs (N, outputs) of the model in evaluation mode.
            probabilities: add a column ``TARGET: CLASS`` with its probability for every class.

        Returns:
            One column a target, by its name: numbers in the table's units, classes by their names.
        """
        import pandas as pd

        found: dict[str, Any] = {}
        for target in self.targets:
            output = outputs[target.name].detach().double().cpu().numpy().reshape(-1, target.outputs)
            if target.kind not in CLASSES:
                found[target.name] = target.undo(output[:, 0])
                continue
            chances = class_probabilities(target, output)
            # Of ordered classes the one that the median falls into, as their metric has it; of others the likeliest.
            place = (output > 0).sum(1) if target.kind == "ordinal" else chances.argmax(1)
            found[target.name] = np.array([*target.classes, None], dtype=object)[place]
            if probabilities:
                found |= {f"{target.name}: {c}": chances[:, k] for k, c in enumerate(target.classes)}
        return pd.DataFrame(found).infer_objects()

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, which JSON keeps exactly."""
        return {
            "format": FORMAT,
            "fingerprint": dict(self.fingerprint),
            "inputs": [encodings.to_dict(e) for e in self.encodings],
            "targets": [t.to_dict() for t in self.targets],
            "left_out": dict(self.left_out),
            "split": dict(self.split),
            "domain": None if self.domain is None else [self.domain[0], list(self.domain[1])],
        }

    @classmethod
    def from_dict(cls, content: Any) -> FittedTable:
        """Make a fitted table from plain data. Raises RequestError if it is none."""
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise RequestError(f"no description of a table: 'format' must be {FORMAT!r}")
        try:
            domain = content.get("domain")
            for key in ("left_out", "fingerprint"):
                if not isinstance(content[key], dict):
                    raise TypeError(f"{key!r} must hold names and values")
            if not isinstance(content.get("split") or {}, dict):
                raise TypeError("'split' must hold names and values")
            return cls(
                tuple(encodings.from_dict(e) for e in content["inputs"]),
                tuple(Target.from_dict(t) for t in content["targets"]),
                content["left_out"],
                content["fingerprint"],
                None if domain is None else (str(domain[0]), tuple(map(str, domain[1]))),
                content.get("split") or {},
            )
        except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
            if isinstance(error, RequestError):
                raise
            raise RequestError(f"no description of a table: {type(error).__name__}: {error}") from None


def class_probabilities(target: Target, output: np.ndarray) -> np.ndarray:
    """Return the probability of every class (N, C) from outputs (N, outputs)."""
    if target.kind == "classes":
        powers = np.exp(output - output.max(1, keepdims=True))
        shares: np.ndarray = powers / powers.sum(1, keepdims=True)
        return shares
    above = 1 / (1 + np.exp(-np.clip(output, -700, 700)))
    if target.kind == "binary":
        return np.concatenate([1 - above, above], axis=1)
    above = np.minimum.accumulate(above, axis=1)  # P(y > k) cannot grow with k
    edges = np.concatenate([np.ones((len(above), 1)), above, np.zeros((len(above), 1))], axis=1)
    between: np.ndarray = edges[:, :-1] - edges[:, 1:]
    return between
