"""Older runs beside new ones, where they help: by the held-out errors of the new runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from scalarize.search.mixture.fitting import FOLDS, Fit, fit_runs
from scalarize.search.mixture.forms.least_squares import Array
from scalarize.search.mixture.reuse import together
from scalarize.search.mixture.runs import Runs
from scalarize.utils.errors import RequestError


def fit_with_older(old: Runs, new: Runs, forms: Sequence[str] | None = None, folds: int = FOLDS) -> Fit:
    """Fit new runs with and without the old ones, which are in the new domains already, and keep the better fit.

    Better is the fit of the lower mean held-out squared error over the new runs alone, each metric divided by its
    variance: old runs whose parts had other shares than they are taken to have had would mislead. The notes say which.
    """
    both = fit_runs(together(old, new), forms, folds)
    try:
        alone = fit_runs(new, forms, folds)
    except RequestError:  # too few new runs by themselves
        return both
    scale = np.maximum(np.nanvar(alone.runs.losses, axis=0), 1e-300)

    def error(residuals: Array) -> float:
        return float(np.nanmean(residuals**2 / scale))

    with_old, without = error(both.residuals[-len(alone.runs.ids) :]), error(alone.residuals)
    said = f"new runs leave {with_old:.2f} of their held-out variance with the old ones, {without:.2f} without"
    if with_old <= without:
        return replace(both, notes=(*both.notes, said))
    return replace(alone, notes=(*alone.notes, f"{said}: the old ones are left out"))
