"""Targets of a table: their kinds, the numbers that a model is trained on, and the way back to the user's units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from scalarize.utils.errors import RequestError
from scalarize.workloads.table import kept
from scalarize.workloads.table.cells import Column, understand
from scalarize.workloads.table.inputs import LARGEST
from scalarize.workloads.table.options import MISSING_WORDS, TableOptions

if TYPE_CHECKING:
    import pandas as pd

MOST_WHOLE = 20  # distinct whole numbers up to which they are taken for classes, unless the user says else
MOST_CLASSES = 100  # words up to which they are classes
CLASSES = ("binary", "classes", "ordinal")


@dataclass(frozen=True)
class Target:
    """A target column: what it is, and how its values become those that a model is trained on.

    kind: one of ``options.TARGET_KINDS``. classes: the values that are classes, in order, as the user has them;
    empty for numbers. centre and scale: of the training rows, a number y is trained on as (y - centre) / scale, of
    kind ``log`` after log(1 + y); a count as y / scale. metric: name of the metric that the target is judged by, None
    for the kind's own. balanced: whether classes weigh the same in the loss; frequencies: of the classes in the
    training rows. understood: what was read beyond the plain cells, in words.
    """

    name: str
    kind: str
    classes: tuple[Any, ...] = ()
    centre: float = 0.0
    scale: float = 1.0
    metric: str | None = None
    balanced: bool = False
    frequencies: tuple[float, ...] = ()
    understood: str | None = None

    @property
    def outputs(self) -> int:
        """The number of outputs of the target's head."""
        return {"classes": len(self.classes), "ordinal": len(self.classes) - 1}.get(self.kind, 1)

    @property
    def link(self) -> str:
        """The function from outputs to predictions: ``identity``, ``sigmoid``, ``softmax`` or ``exp``."""
        return {"binary": "sigmoid", "ordinal": "sigmoid", "classes": "softmax", "count": "exp"}.get(
            self.kind, "identity"
        )

    def prepared(self, values: np.ndarray) -> np.ndarray:
        """Return values (N,) as they are trained on: float32, or int64 for classes; 0 for a missing one."""
        there = ~np.isnan(values)
        if self.kind in ("classes", "ordinal"):
            return np.where(there, values, 0).astype(np.int64)
        if self.kind == "binary":
            return np.where(there, values, 0).astype(np.float32)
        moved = np.log1p(values) if self.kind == "log" else values
        # In double precision: what is left of 1.7e12 + 3 in single precision is 1.7e12.
        with np.errstate(over="ignore"):
            found = np.where(there, (moved - self.centre) / self.scale, 0).astype(np.float32)
        if len(wild := np.flatnonzero(~np.isfinite(found))):
            told = f"{values[wild[0]]:.3g} in row {wild[0] + 1}"
            raise RequestError(f"target {self.name!r}: {told} is too far from the training rows to compute with")
        return found

    def undo_target(self, prepared: np.ndarray) -> np.ndarray:
        """Return prepared targets (N,) in the user's units, float64; of classes, their places."""
        if self.kind in CLASSES:
            return prepared
        values = prepared.astype(np.float64) * self.scale + self.centre
        return np.expm1(values) if self.kind == "log" else values

    def undo(self, output: np.ndarray) -> np.ndarray:
        """Return a number's outputs (N,) in the user's units, float64."""
        rate = np.exp(np.minimum(output.astype(np.float64), 80.0)) if self.kind == "count" else output
        return self.undo_target(rate)

    def fitted(self, values: np.ndarray, train: np.ndarray) -> Target:
        """Return the target with centre, scale or frequencies from its known values in the rows ``train`` (M,)."""
        known = values[train]
        known = known[~np.isnan(known)]
        if self.kind in CLASSES:
            counts = np.bincount(known.astype(np.int64), minlength=len(self.classes))
            return replace(self, frequencies=tuple((counts / max(1, len(known))).tolist()))
        if self.kind == "count":
            return replace(self, scale=float(known.mean()) or 1.0)
        moved = np.log1p(known) if self.kind == "log" else known
        centre = float(moved.mean()) if len(moved) else 0.0
        deviation = float(np.sqrt(((moved - centre) ** 2).mean())) if len(moved) else 1.0
        return replace(self, centre=centre, scale=deviation or 1.0)

    def words(self) -> str:
        """Say what the target is: ``binary (no, yes)``, ``classes (3)``, ``regression``."""
        if self.kind == "binary":
            return f"binary ({self.classes[0]}, {self.classes[1]})"
        if self.classes:
            return f"{self.kind} ({len(self.classes)})"
        return self.kind

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in self.__dict__.items()}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Target:
        """Make a target from plain data. Raises TypeError if a field is missing, unknown or of another kind."""
        fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in content.items()}
        made = cls(**fields)
        kept.check(made)
        return made


def pose(name: str, cells: pd.Series[Any], options: TableOptions) -> tuple[Target, np.ndarray]:
    """Find out what a target column is.

    Two distinct values: binary. Up to 20 distinct whole numbers, or up to 100 distinct words: classes. Other numbers:
    regression. ``options.types`` overrides all of that.

    Args:
        name: of the column.
        cells: its cells (N,).
        options: of the table.

    Returns:
        The target, not fitted yet, and its values (N,), float64: numbers, or places among the classes; NaN if missing.

    Raises:
        RequestError: the column is constant or empty, holds infinite numbers, or does not fit the kind asked for.
    """
    asked = options.types.get(name)
    as_words = "category" if asked in ("classes", "ordinal") and not _numeric(cells) else None
    column = understand(name, _without(cells, options.missing.get(name)), as_words)
    if column.kind == "date":
        few = f", or with `types` {name}=classes one of its values" if cells.nunique() <= MOST_CLASSES else ""
        raise RequestError(f"target {name!r} holds dates: a number can be predicted, such as days since a start{few}")
    values = column.values
    known = values.dropna()
    distinct = _sorted(known.unique().tolist())
    if len(distinct) < 2:
        raise RequestError(f"target {name!r} is constant ({distinct[0] if distinct else 'empty'}): nothing to learn")
    target = Target(name, "regression", metric=options.metrics.get(name), balanced=name in options.class_weights)
    target = replace(target, understood=_understood(column, options))
    if column.kind == "number":
        return _number(target, column, known.to_numpy(), distinct, asked)
    if asked in ("regression", "huber", "log", "count"):
        row, word = next((int(i) + 1, w) for i, w in enumerate(values) if w is not None and not _is_number(w))
        raise RequestError(f"target {name!r} cannot be {asked}: {word!r} in row {row} is no number")
    if len(distinct) > MOST_CLASSES and asked is None:
        row = int(known.index[0]) + 1
        raise RequestError(
            f"target {name!r} is text with {len(distinct)} distinct values, at most {MOST_CLASSES} are taken for "
            f"classes unless `types` {name}=classes: {known.iloc[0]!r} in row {row} is no number"
        )
    return _classes(target, values, tuple(distinct), asked)


def _number(
    target: Target, column: Column, known: np.ndarray, distinct: list[float], asked: str | None
) -> tuple[Target, np.ndarray]:
    name, values = target.name, column.values.to_numpy(dtype="float64", copy=True)
    if not np.isfinite(known).all():
        raise RequestError(f"target {name!r} holds infinite values")
    if np.abs(known).max() > LARGEST:
        raise RequestError(f"target {name!r} holds {np.abs(known).max():.3g}: too large to compute with")
    whole = bool((known % 1 == 0).all())
    kind = asked or ("binary" if len(distinct) == 2 else "classes" if whole and len(distinct) <= MOST_WHOLE else None)
    if kind in CLASSES:
        names: list[Any] = [int(x) if x % 1 == 0 else x for x in distinct]
        if column.truth is not None:
            words: tuple[Any, ...] = column.truth
            names = [{"True": True, "False": False}.get(words[int(x)], words[int(x)]) for x in distinct]
        places = np.searchsorted(np.array(distinct), values).astype(np.float64)
        return _checked(replace(target, kind=kind or "classes", classes=tuple(names))), np.where(
            np.isnan(values), np.nan, places
        )
    if kind in ("count", "log") and known.min() < 0:
        row = int(np.flatnonzero(values < 0)[0]) + 1
        raise RequestError(f"target {name!r} cannot be {kind}: {known.min():g} in row {row} is below 0")
    return replace(target, kind=kind or "regression"), values


def _classes(
    target: Target, words: pd.Series[Any], distinct: tuple[Any, ...], asked: str | None
) -> tuple[Target, np.ndarray]:
    import pandas as pd

    codes = pd.Index(list(distinct), dtype=object).get_indexer(words).astype(np.float64)
    kind = asked or ("binary" if len(distinct) == 2 else "classes")
    return _checked(replace(target, kind=kind, classes=distinct)), np.where(codes < 0, np.nan, codes)


def _checked(target: Target) -> Target:
    if target.kind == "binary" and len(target.classes) != 2:
        raise RequestError(f"target {target.name!r} cannot be binary: it has {len(target.classes)} distinct values")
    if len(target.classes) > 1000:
        raise RequestError(f"target {target.name!r} has {len(target.classes)} classes: at most 1000")
    return target


def _without(cells: pd.Series[Any], sentinel: str | None) -> pd.Series[Any]:
    """Return the cells without those that stand for a missing label."""
    if sentinel is None:
        return cells
    import pandas as pd

    texts = cells.astype(str).str.strip()
    same = texts == sentinel.strip()
    if _is_number(sentinel):
        same |= pd.to_numeric(texts, errors="coerce") == float(sentinel)
    return cells.where(~same)


def _understood(column: Column, options: TableOptions) -> str | None:
    told = [line for line in (column.how and f"{column.name}: {column.how}", column.stray_words()) if line]
    if column.kind == "category":
        words = [w for w in column.values.dropna().unique() if w.lower() in MISSING_WORDS]
        told += [
            f"{column.name}: {w!r} is taken for a class ({int((column.values == w).sum())} rows); if it means that "
            f"there is none, say `missing` {column.name}={w}"
            for w in words
        ]
    return "; ".join(told) or None


def _sorted(values: Sequence[Any]) -> list[Any]:
    return sorted(values, key=str if any(isinstance(v, str) for v in values) else None)


def _numeric(cells: pd.Series[Any]) -> bool:
    from pandas.api import types

    return types.is_numeric_dtype(cells.dtype)


def _is_number(word: Any) -> bool:
    try:
        float(word)
    except (TypeError, ValueError):
        return False
    return True
