"""A fit as plain JSON, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from scalarize.search.mixture.fitting import Fit
from scalarize.search.mixture.forms import registry
from scalarize.search.mixture.forms.least_squares import Array
from scalarize.search.mixture.runs import Runs
from scalarize.utils import files
from scalarize.utils.errors import RequestError

FORMAT = "scalarize-mixture/1"


def save(fit: Fit, path: str | Path) -> Path:
    """Write ``fit`` to ``path`` as JSON, in one step."""
    return files.write_json(path, to_dict(fit))


def load(path: str | Path) -> Fit:
    """Read a fit. Raises RequestError naming the file if it is missing, damaged, or no fit."""
    return from_dict(files.read_json(path), str(path))


def to_dict(fit: Fit) -> dict[str, Any]:
    """The content of a fit's file: laws, runs, held-out predictions; numbers to 9 digits."""
    runs = fit.runs
    return {
        "format": FORMAT,
        "domains": list(runs.domains),
        "metrics": [
            {
                "name": name,
                "better": "higher" if runs.higher[k] else "lower",
                "form": fit.forms[k],
                "numbers": _plain(fit.laws[k]),
                "explained": {f: _plain(e[k]) for f, e in fit.explained.items()},
            }
            for k, name in enumerate(runs.metrics)
        ],
        "scales": list(runs.scale_names),
        "scale_means": _plain(fit.scale_means),
        "folds": [[_plain(numbers) for numbers in fold] for fold in fit.folds],
        "notes": list(fit.notes),
        "runs": {
            "ids": list(runs.ids),
            "weights": _plain(runs.weights),
            "losses": _plain(runs.losses),
            "scales": _plain(runs.scales),
            "fold": fit.fold_of.tolist(),
            "held_out": _plain(fit.held_out),
        },
    }


def from_dict(content: Any, where: str = "fit") -> Fit:
    """The inverse of :func:`to_dict`. Raises RequestError, beginning with ``where``, for anything damaged."""
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise RequestError(f"{where}: no fit of `scalarize mixture fit`: the field 'format' must be {FORMAT!r}")
    try:
        return _checked(content)
    except RequestError as error:
        raise RequestError(f"{where}: {error}") from None
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        raise RequestError(f"{where}: damaged fit: {type(error).__name__}: {error}") from None


def _checked(content: dict[str, Any]) -> Fit:
    metrics, table = content["metrics"], content["runs"]
    domains = tuple(_text(d) for d in content["domains"])
    names = tuple(_text(m["name"]) for m in metrics)
    scale_names = tuple(_text(s) for s in content["scales"])
    weights, losses = _array(table["weights"], 2), _array(table["losses"], 2)
    n, shape = len(table["ids"]), (len(table["ids"]), len(names))
    scales = _array(table["scales"], 2) if scale_names else np.zeros((n, 0))
    held_out, fold_of = _array(table["held_out"], 2), np.array(table["fold"], dtype=np.int64)
    forms = tuple(_text(m["form"]) for m in metrics)
    for form in forms:
        registry.get(form)
    laws = tuple(_array(m["numbers"], 1) for m in metrics)
    folds = tuple(tuple(_array(x, 1) for x in fold) for fold in content["folds"])
    fits = (
        n > 0
        and weights.shape == (n, len(domains))
        and losses.shape == held_out.shape == shape
        and scales.shape == (n, len(scale_names))
        and fold_of.shape == (n,)
        and len(folds) >= 2
        and set(fold_of.tolist()) <= set(range(len(folds)))
        and all(_as_long(fold, laws, forms) for fold in folds)
        and len(set(domains)) == len(domains)
        and bool(np.isfinite(weights).all())
        and all(bool(np.isfinite(x).all()) for x in (*laws, *(x for fold in folds for x in fold)))
    )  # fmt: skip
    if not fits:
        raise RequestError("damaged fit: its parts do not fit together")
    higher = tuple({"higher": True, "lower": False}[m["better"]] for m in metrics)
    tried = list(metrics[0]["explained"]) if metrics else []
    explained = {f: np.array([_number(m["explained"][f]) for m in metrics]) for f in tried}
    runs = Runs(domains, names, higher, weights, losses, tuple(_text(i) for i in table["ids"]), scale_names, scales)
    means = _array(content["scale_means"], 1)
    if means.shape != (len(scale_names),):
        raise RequestError("damaged fit: its parts do not fit together")
    fit = Fit(runs, forms, laws, folds, fold_of, held_out, explained, means, tuple(_text(x) for x in content["notes"]))
    for fold in (None, *range(len(folds))):
        fit.predict(weights[:1], None, fold)  # numbers too few for their form
    return fit


def _as_long(fold: tuple[Array, ...], laws: tuple[Array, ...], forms: tuple[str, ...]) -> bool:
    """If a fold has a law for every metric, of as many numbers as that of all runs; those of trees may differ."""
    same = (len(x) == len(y) or not registry.get(f).smooth for x, y, f in zip(fold, laws, forms, strict=False))
    return len(fold) == len(laws) == len(forms) and all(same)


def _plain(values: Any) -> Any:
    """Arrays as lists of numbers of 9 digits; what is not finite as None."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim == 0:
        return float(f"{float(array):.9g}") if np.isfinite(array) else None
    return [_plain(row) for row in array] if array.ndim > 1 else [
        float(f"{x:.9g}") if np.isfinite(x) else None for x in array.tolist()
    ]  # fmt: skip


def _array(values: Any, ndim: int) -> Array:
    rows = values if ndim == 2 else [values]
    array = np.array([[_number(x) for x in row] for row in rows], dtype=np.float64)
    return array if ndim == 2 else array[0]


def _number(value: Any) -> float:
    if value is None:
        return float("nan")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is no number")
    return float(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value
