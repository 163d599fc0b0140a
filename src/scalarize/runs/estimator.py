"""An estimator in the manner of scikit-learn: one shared model of several targets, of whatever kinds."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, MultiOutputMixin
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from scalarize.runs.fit_frame import FitRequest, fit
from scalarize.runs.saved_model import as_frame
from scalarize.runs.target_form import targets_of
from scalarize.utils.errors import RequestError, ScalarizeWarning
from scalarize.weights.policy import Policy

if TYPE_CHECKING:
    import pandas as pd


class MultiTaskModel(MultiOutputMixin, BaseEstimator):  # type: ignore[misc,unused-ignore]
    """A shared model of several targets, as an estimator of scikit-learn.

    Targets may be of several kinds at once: numbers, two or more classes. Columns of words and dates, and missing
    values, are handled as ``scalarize train --csv`` handles them; a missing label (NaN or None) leaves its row to the
    other targets.

    Args:
        method: where task weights come from, see ``scalarize.methods.names()``. Default: even weights.
        weights: fixed weights, target -> number, in place of a method. Default None.
        policy: a :class:`scalarize.Policy` or the path of one, in place of a method. Default None.
        main: the one target by which the epoch is chosen and :meth:`score` judges; the others are its auxiliaries.
            Default None: all of them.
        types: column -> kind, such as ``{"visits": "count"}``. Default None: found out.
        epochs: most epochs. Default None: by the number of rows.
        settings: recipe values by dotted key, such as ``{"optimizer.lr": 0.003}``. Default None.
        validation_fraction: share of the rows that is set aside to choose the epoch on, before the model is trained on
            all rows. Default 0.15.
        random_state: seed. Default 0.

    Attributes:
        model_: the fitted :class:`~scalarize.runs.saved_model.SavedModel`; ``model_.predict(frame,
            probabilities=True)`` adds the probabilities of classes.
        targets_: names of the targets.
        left_out_: columns of a data frame that are no inputs (constant, infinite somewhere, row numbers, copies of
            others), and why; name one in ``types`` to keep it.
        n_features_in_, feature_names_in_: as in scikit-learn.

    >>> X = [[float(k % 7), float(k % 5)] for k in range(60)]
    >>> Y = [[2.0 * a + b, 10.0 * b - a] for a, b in X]
    >>> MultiTaskModel(epochs=2).fit(X, Y).predict(X).shape
    (60, 2)
    """

    def __init__(
        self,
        *,
        method: str = "uniform",
        weights: Mapping[str, float] | None = None,
        policy: Policy | str | None = None,
        main: str | None = None,
        types: Mapping[str, str] | None = None,
        epochs: int | None = None,
        settings: Mapping[str, Any] | None = None,
        validation_fraction: float = 0.15,
        random_state: Any = 0,
    ) -> None:
        self.method = method
        self.weights = weights
        self.policy = policy
        self.main = main
        self.types = types
        self.epochs = epochs
        self.settings = settings
        self.validation_fraction = validation_fraction
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> MultiTaskModel:
        """Train on rows.

        Args:
            X: inputs, a data frame of pandas or polars, or an array (N, features).
            y: targets, a data frame, a series, or an array (N,) or (N, targets); of an array they are called y0, y1
                and so on.

        Returns:
            The estimator itself.

        Raises:
            RequestError: a target, an input or a parameter cannot be used.
        """
        targets, self._form = targets_of(y)
        frame = self._inputs(X, reset=True)
        check_consistent_length(frame, targets)
        both = [name for name in targets.columns if name in frame.columns]
        if both:
            raise RequestError(f"column {both[0]!r} is an input and a target: leave it out of X, or rename it")
        if not 0 < self.validation_fraction < 1:
            raise RequestError(f"validation_fraction must lie between 0 and 1, got {self.validation_fraction}")
        if self.main is not None and self.main not in targets.columns:
            raise RequestError(f"main names {self.main!r}, which is none of the targets {', '.join(targets.columns)}")
        request = FitRequest(
            method=self.method,
            weights=self.weights,
            policy=Policy.load(self.policy) if isinstance(self.policy, str) else self.policy,
            score=None if self.main is None else f"main={self.main}",
            types=self.types or {},
            epochs=self.epochs,
            settings=self.settings or {},
            share=self.validation_fraction,
            seed=_seed(self.random_state),
        )
        threads = torch.get_num_threads()
        try:
            self.model_ = fit(frame, targets, request, keep=not hasattr(X, "columns"))
        finally:
            torch.set_num_threads(threads)
        self.targets_ = list(targets.columns)
        self.left_out_ = dict(self.model_.table.left_out)
        if self.left_out_:
            told = "; ".join(f"{name}: {why}" for name, why in list(self.left_out_.items())[:3])
            more = f"; and {len(self.left_out_) - 3} more" if len(self.left_out_) > 3 else ""
            warnings.warn(f"columns that are no inputs: {told}{more} (left_out_)", ScalarizeWarning, stacklevel=2)
        return self

    def predict(self, X: Any) -> Any:
        """Predict all targets of rows.

        Args:
            X: inputs as in :meth:`fit`, N rows.

        Returns:
            What ``y`` was: a data frame, a series, or an array (N,) or (N, targets); numbers in their units, classes by
            their names.

        Raises:
            RequestError: a column is absent, or holds another kind of values than in training.
        """
        import pandas as pd

        check_is_fitted(self)
        found = self.model_.predict(self._inputs(X, reset=False))
        return self._form.restore(found.set_axis(X.index) if isinstance(X, pd.DataFrame) else found)

    def score(self, X: Any, y: Any) -> float:
        """Judge predictions: R2 of numbers, accuracy of classes, the mean over targets; ``main`` alone if there is one.

        Args:
            X: inputs, N rows.
            y: their targets, those with names by their names; rows without a label of a target do not count for it.

        Returns:
            The score; 1 is perfect.
        """
        check_is_fitted(self)
        found, (told, form) = self.model_.predict(self._inputs(X, reset=False)), targets_of(y)
        check_consistent_length(found, told)
        wanted = self.targets_ if self.main is None else [self.main]
        if form.kind == "frame" and self._form.kind == "frame":
            if lacking := [name for name in wanted if name not in told.columns]:
                raise RequestError(f"y has no column {lacking[0]!r}: it holds {', '.join(map(str, told.columns))}")
        elif len(told.columns) != len(self.targets_):
            raise RequestError(f"y has {len(told.columns)} columns, and {len(self.targets_)} targets were learned")
        else:
            told.columns = self.targets_
        kinds = {t.name: bool(t.classes) for t in self.model_.table.targets}
        scores = []
        for name in wanted:
            known = told[name].notna().to_numpy()
            truth, guess = told[name][known], found[name].to_numpy()[known]
            if kinds[name]:
                scores.append(accuracy_score([*map(_name, truth)], [*map(_name, guess)]))
            else:
                scores.append(r2_score(truth.astype(float), guess))
        return float(np.mean(scores))

    def _inputs(self, X: Any, reset: bool) -> pd.DataFrame:
        """Return inputs as a data frame, and check or remember the names of its columns."""
        import pandas as pd

        if hasattr(X, "columns"):
            frame = as_frame(X)
            if not len(frame) or not len(frame.columns):
                check_array(np.zeros(frame.shape))  # which says what is missing
            validate_data(self, frame, reset=reset, skip_check_array=True)
            return frame.reset_index(drop=True)
        array = validate_data(
            self, X, reset=reset, dtype=None, ensure_all_finite="allow-nan", ensure_min_samples=2 if reset else 1
        )
        if array.dtype.kind == "c":
            raise ValueError("Complex data not supported")
        return pd.DataFrame(array, columns=[f"x{k}" for k in range(array.shape[1])])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        tags.target_tags.required = True
        return tags


def _name(value: Any) -> str:
    """Return a class as text in which 1, 1.0 and True are one."""
    try:
        return repr(float(value))
    except (TypeError, ValueError):
        return str(value)


def _seed(random_state: Any) -> int:
    if isinstance(random_state, int | np.integer):
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31 - 1))
