"""The form in which targets were given to an estimator, so that predictions come back in the same one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scalarize.runs.saved_model import as_frame
from scalarize.utils.errors import RequestError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class TargetForm:
    """The form of targets: ``frame``, ``series`` or ``array``.

    labels: of the columns, as they were given; None for an array. dtype: of an array. flat: an array (N,).
    """

    kind: str
    labels: tuple[Any, ...] | None = None
    dtype: Any = None
    flat: bool = False

    def restore(self, found: pd.DataFrame) -> Any:
        """Return predictions, a column a target, in this form."""
        if self.kind == "frame":
            return found.set_axis(list(self.labels or found.columns), axis=1)
        if self.kind == "series":
            return found.iloc[:, 0].rename((self.labels or (None,))[0])
        values = found.to_numpy()
        numeric = all(found[name].dtype.kind in "fiub" for name in found.columns)
        whole = all(found[name].dtype.kind in "iub" for name in found.columns)
        if self.dtype.kind in "iub" and whole:
            values = values.astype(self.dtype)
        elif self.dtype.kind in "fiub" and numeric:
            values = values.astype(self.dtype if self.dtype.kind == "f" else np.float64)
        elif self.dtype.kind in "US":
            values = values.astype(str)
        return values[:, 0] if self.flat else values


def targets_of(y: Any) -> tuple[pd.DataFrame, TargetForm]:
    """Return targets as a data frame, one column a target, and the form that they had.

    Args:
        y: a data frame of pandas or polars, a series, or anything that numpy makes an array (N,) or (N, targets) of.

    Returns:
        The frame, and the form; the columns of an array are called y0, y1 and so on.

    Raises:
        RequestError: the array has another number of dimensions, no column, or complex numbers.
        ValueError: a number is infinite.
    """
    import pandas as pd
    from sklearn.utils.validation import assert_all_finite

    if y is None:
        raise ValueError("This MultiTaskModel estimator requires y to be passed, but the target y is None.")
    if hasattr(y, "columns"):
        frame = as_frame(y).reset_index(drop=True)
        return _finite(frame, assert_all_finite), TargetForm("frame", tuple(y.columns))
    if isinstance(y, pd.Series):
        name = "y0" if y.name is None else str(y.name)
        return _finite(y.reset_index(drop=True).to_frame(name), assert_all_finite), TargetForm("series", (y.name,))
    array = np.asarray(y)
    if array.ndim not in (1, 2) or (array.ndim == 2 and not array.shape[1]):
        raise RequestError(f"targets must be an array (N,) or (N, targets), got the shape {array.shape}")
    if array.dtype.kind == "c":
        raise RequestError("Complex data not supported: targets hold complex numbers")
    table = array.reshape(len(array), -1)
    frame = pd.DataFrame(table, columns=[f"y{k}" for k in range(table.shape[1])]).infer_objects()
    return _finite(frame, assert_all_finite), TargetForm("array", None, array.dtype, array.ndim == 1)


def _finite(frame: pd.DataFrame, check: Any) -> pd.DataFrame:
    for name in frame.columns:
        if frame[name].dtype.kind == "f":
            check(frame[name].to_numpy(), allow_nan=True, input_name="y")
    return frame
