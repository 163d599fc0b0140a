"""Doubts about a table's columns: inputs that give a target away, and columns whose repetitions suggest groups."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import numpy as np

from scalarize.workloads.table.cells import Column
from scalarize.workloads.table.inputs import looks_like_id
from scalarize.workloads.table.targets import CLASSES, Target

SURE = 0.98  # AUROC or R2 of one column alone, from which it gives a target away
LOOKED_AT = 5_000  # rows
LEAVES = 32


def giveaways(
    columns: Mapping[str, Column], targets: Sequence[Target], values: Sequence[np.ndarray], rows: np.ndarray
) -> list[str]:
    """Name the inputs that predict a target nearly perfectly on their own.

    A tree with one input is fitted to one half of the training rows and measured on the other: by R2 for numbers, by
    the area under the ROC curve, averaged over classes against the rest, for classes.

    Args:
        columns: the inputs by name.
        targets: the targets.
        values: their values (N,) each.
        rows: the training rows.

    Returns:
        A sentence for each pair.
    """
    rng = np.random.default_rng(0)
    rows = rng.permutation(rows)[:LOOKED_AT]
    told = []
    for name, column in columns.items():
        x = _one_column(column, rows)
        for target, value in zip(targets, values, strict=True):
            known = ~np.isnan(value[rows])
            if known.sum() < 40:
                continue
            score = _alone(x[known], value[rows][known], target.kind in CLASSES)
            if score is not None and score > SURE:
                measure = "AUROC" if target.kind in CLASSES else "R2"
                told.append(
                    f"{name!r} alone predicts {target.name!r} with {measure} {score:.3f}: if it is known only after "
                    f"{target.name!r}, leave it out with `ignore` {name}"
                )
    return told


def repeated(columns: Mapping[str, Column], values: Sequence[np.ndarray]) -> list[str]:
    """Suggest a column of groups where rows seem to repeat a person or thing.

    A column says so by its name, or by what stays the same while it does: two other columns at least, neither of which
    determines it.

    Args:
        columns: all columns but the targets, by name.
        values: of the targets (N,) each.

    Returns:
        A sentence for each such column.
    """
    import pandas as pd

    coded = {name: pd.factorize(c.values)[0] for name, c in columns.items()}
    coded |= {f"\0{k}": pd.factorize(own)[0] for k, own in enumerate(values)}
    codes = {name: coded[name] for name, c in columns.items() if _may_group(c)}
    told = []
    for name, groups in codes.items():
        distinct = int(groups.max()) + 1
        if looks_like_id(name) or sum(_constant_within(groups, own) for n, own in coded.items() if n != name) >= 2:
            told.append(
                f"{name!r} repeats ({distinct} values in {len(groups)} rows): if rows of one value belong together, "
                f"keep them in one split with `groups` {name}, or the test measures memory"
            )
    return told


def _may_group(column: Column) -> bool:
    values = column.values
    if column.kind == "date" or bool(column.missing.any()):
        return False
    if column.kind == "number" and bool((values % 1 != 0).any()):
        return False
    distinct = values.nunique()
    return 10 <= distinct <= 0.6 * len(values)


def _constant_within(groups: np.ndarray, own: np.ndarray) -> bool:
    """Return True if a column has one value in each group, but several groups for some of its values."""
    if own.max() < 1:
        return False
    first = np.zeros(int(groups.max()) + 1, dtype=own.dtype)
    first[groups[::-1]] = own[::-1]
    return bool((first[groups] == own).all()) and int(own.max()) + 1 < 0.8 * len(first)


def _one_column(column: Column, rows: np.ndarray) -> np.ndarray:
    import pandas as pd

    cells = column.values.iloc[rows]
    if column.kind == "category":
        codes = pd.factorize(cells)[0].astype(np.float64)
        return codes.reshape(-1, 1)
    values = cells.to_numpy(dtype="float64")
    gone = np.isnan(values)
    return np.stack([np.where(gone, 0.0, values), gone], axis=1)


def _alone(x: np.ndarray, y: np.ndarray, classes: bool) -> float | None:
    from sklearn.metrics import r2_score, roc_auc_score
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    half = len(y) // 2
    if len(np.unique(y[:half])) < 2 or len(np.unique(y[half:])) < 2:
        return None
    if not classes:
        spread = y.std() or 1.0
        tree = DecisionTreeRegressor(max_leaf_nodes=LEAVES, random_state=0).fit(
            x[:half], (y[:half] - y.mean()) / spread
        )
        return float(r2_score((y[half:] - y.mean()) / spread, tree.predict(x[half:])))
    with warnings.catch_warnings():  # scikit-learn's, if classes are more than half of the rows
        warnings.simplefilter("ignore", UserWarning)
        tree = DecisionTreeClassifier(max_leaf_nodes=LEAVES, random_state=0).fit(x[:half], y[:half])
    chances = tree.predict_proba(x[half:])
    found = []
    for place, known in enumerate(tree.classes_):
        label = y[half:] == known
        if label.any() and not label.all():
            found.append(float(roc_auc_score(label, chances[:, place])))
    return float(np.mean(found)) if found else None
