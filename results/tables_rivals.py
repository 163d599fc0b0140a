"""What a user of scikit-learn would do with a table, with its defaults: boosting and a linear model for each target."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler


def is_number(column: pd.Series[Any]) -> bool:
    """Return True for a target that R2 judges: numbers, unless they are whole and of at most 20 distinct values."""
    known = column.dropna()
    if not pd.api.types.is_numeric_dtype(known):
        return False
    return known.nunique() > 20 or bool((known % 1 != 0).any() and known.nunique() > 2)


def score(truth: pd.Series[Any], predicted: pd.Series[Any], number: bool) -> float:
    """Return R2 of a ``number``, floored at -1, or else the accuracy, on the rows that have a label."""
    there = truth.notna().to_numpy()
    own, other = truth[there].to_numpy(), predicted.to_numpy()[there]
    if not number:
        numeric = pd.api.types.is_numeric_dtype(truth)
        return float(np.mean(own == other.astype(float) if numeric else own.astype(str) == other.astype(str)))
    error = np.mean((own.astype(float) - other.astype(float)) ** 2)
    return max(-1.0, 1 - float(error / np.var(own.astype(float))))


def columns(frame: pd.DataFrame) -> pd.DataFrame:
    """Return inputs with a date as days, year, month, day of the year and weekday, as most would write it."""
    found = frame.copy()
    for name in frame:
        if name == "date":
            day = pd.to_datetime(found.pop(name))
            found = found.assign(
                days=(day - pd.Timestamp("2000-01-01")).dt.days, year=day.dt.year, month=day.dt.month,
                day_of_year=day.dt.day_of_year, weekday=day.dt.day_of_week,
            )  # fmt: skip
        elif not pd.api.types.is_numeric_dtype(frame[name]):
            found[name] = frame[name].astype("object").fillna("missing").astype(str)
    return found


def predictions(train: pd.DataFrame, new: pd.DataFrame, targets: list[str]) -> dict[str, pd.DataFrame]:
    """Fit to all rows of ``train`` and predict ``new``: {"boosting": frame, "linear": frame, "constant": frame}."""
    inputs, others = columns(train.drop(columns=targets)), columns(new.drop(columns=targets))
    words = [c for c in inputs if not pd.api.types.is_numeric_dtype(inputs[c])]
    numbers = [c for c in inputs if c not in words]
    found: dict[str, dict[str, Any]] = {"boosting": {}, "linear": {}, "constant": {}}
    for target in targets:
        there = train[target].notna().to_numpy()
        wanted, value = train[target][there], is_number(train[target])
        coded, codes = inputs.copy(), others.copy()
        for c in words:
            known = sorted(inputs[c].unique())[:254]
            coded[c] = pd.Categorical(inputs[c].where(inputs[c].isin(known)), known)
            codes[c] = pd.Categorical(others[c].where(others[c].isin(known)), known)
        trees = (HistGradientBoostingRegressor if value else HistGradientBoostingClassifier)(
            categorical_features="from_dtype", random_state=0
        )
        prepared = make_column_transformer(
            (make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler()), numbers),
            (OneHotEncoder(handle_unknown="ignore"), words),
        )
        linear = make_pipeline(prepared, RidgeCV() if value else LogisticRegression(max_iter=1000))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found["boosting"][target] = trees.fit(coded[there], wanted).predict(codes)
            found["linear"][target] = linear.fit(inputs[there], wanted).predict(others)
        constant = wanted.mean() if value else wanted.mode()[0]
        found["constant"][target] = [constant] * len(new)
    return {name: pd.DataFrame(own) for name, own in found.items()}
