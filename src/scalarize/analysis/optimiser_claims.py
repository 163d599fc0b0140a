"""Parts of claims about optimisers against plain training, each a number by seed that lies above 0 if they hold.

Rows are paired by seed. Where a claim is that something is *not* better, a margin is needed: one deviation of plain
training between its seeds, so that what two seeds of it differ by is no victory over it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from scalarize.analysis import statistics
from scalarize.analysis.claims import IntervalAt

MARGIN = "one deviation between its seeds"
LEARNED = 0.1  # of the loss of constant predictions: below it, a task's loss counts as near its optimum


def paired(frame: pd.DataFrame, value: str, by: str = "row") -> pd.DataFrame:
    """Return ``value`` by seed, one column for each name in ``by``; rows (seeds) in which a run is missing stay NaN."""
    return frame.pivot_table(index="seed", columns=by, values=value, sort=False)


def part(gaps: pd.Series[float]) -> IntervalAt:
    """Return Student's interval of the mean of numbers by seed; NaN if there is none."""
    known = [float(gap) for gap in gaps if math.isfinite(gap)]
    return statistics.t_interval(known or [math.nan]).at


def not_better(
    frame: pd.DataFrame, focus: str, value: str = "test", lower: bool = False, rows: Sequence[str] | None = None
) -> dict[str, IntervalAt]:
    """Return a part for each row: ``focus``, plus the margin, minus that row.

    Args:
        frame: columns row, seed and ``value``.
        focus: the row that is not to be beaten.
        value: the number that is compared.
        lower: True if lower is better.
        rows: the rows that might beat it; default all others.
    """
    wide = paired(frame, value) * (-1 if lower else 1)
    if focus not in wide:
        return {}
    margin = float(wide[focus].std())
    others = [str(name) for name in wide.columns if name != focus and (rows is None or name in rows)]
    return {f"{focus} plus {MARGIN}, minus {name}": part(wide[focus] + margin - wide[name]) for name in others}


def later_overfitting(peaks: pd.DataFrame, focus: str, kind: str) -> dict[str, IntervalAt]:
    """Return two parts for each optimiser: how much later its validation is best, and how much less it falls then.

    Args:
        peaks: of :func:`scalarize.analysis.overfitting.peaks`.
        focus: plain training.
        kind: that without regularisation.
    """
    own = peaks[peaks["kind"] == kind]
    onset, drop = paired(own, "onset"), paired(own, "drop")
    found: dict[str, IntervalAt] = {}
    for name in onset.columns if focus in onset else ():
        if name != focus:
            found[f"onset, epochs: {name} minus {focus}"] = part(onset[name] - onset[focus])
            found[f"fall after the best epoch: {focus} minus {name}"] = part(drop[focus] - drop[name])
    return found


def regularised_later(peaks: pd.DataFrame, row: str, plain: str) -> dict[str, IntervalAt]:
    """Return the same two parts for each kind of regularisation of ``row`` against the kind ``plain`` of it."""
    own = peaks[peaks["row"] == row]
    return later_overfitting(own.assign(row=own["kind"], kind=""), plain, "")


def gain_of_kind(frame: pd.DataFrame, value: str, first: str, second: str) -> dict[str, IntervalAt]:
    """Return a part for each row: ``value`` of the kind ``first`` minus that of ``second``.

    Args:
        frame: columns row, kind, seed and ``value``.
        value: the number that is compared; higher is better.
        first: the kind that is to be better.
        second: the other.
    """
    found = {}
    for row, own in frame.groupby("row", sort=False):
        wide = paired(own, value, by="kind")
        if first in wide and second in wide:
            found[f"{row}: {first} minus {second}"] = part(wide[first] - wide[second])
    return found


def last(epochs: pd.DataFrame, what: str) -> pd.DataFrame:
    """Return the values of ``what`` at each run's last epoch: row, kind, seed, value."""
    own = epochs[epochs["what"] == what]
    return own[own["epoch"] == own.groupby("run")["epoch"].transform("max")]


def larger(frame: pd.DataFrame, focus: str, most: Sequence[str] = ()) -> dict[str, IntervalAt]:
    """Return a part for each row, minus ``focus``; and one for ``most``: the least of them minus the largest other.

    Args:
        frame: columns row, seed and value.
        focus: the row that is to be the smallest.
        most: the rows that are to be the largest.
    """
    wide = paired(frame, "value")
    found = {
        f"{name} minus {focus}": part(wide[name] - wide[focus]) for name in wide if focus in wide and name != focus
    }
    rest = [name for name in wide if name not in most]
    if most and rest and all(name in wide for name in most):
        found[f"the least of {' and '.join(most)} minus the largest other"] = part(
            wide[list(most)].min(axis=1) - wide[rest].max(axis=1)
        )
    return found


def most_near_optimum(curves: pd.DataFrame, constants: Mapping[str, float]) -> dict[str, IntervalAt]:
    """Return the share of rows that drive every task's training loss near its optimum, minus a half.

    Args:
        curves: tidy records of training losses by task, with row, seed and run.
        constants: loss of each task's best constant prediction.
    """
    losses = curves[(curves["split"] == "train") & (curves["metric"] == "loss") & curves["task"].isin(list(constants))]
    ends = losses[losses["epoch"] == losses.groupby("run")["epoch"].transform("max")]
    if ends.empty:
        return {}
    near = ends["value"] < LEARNED * ends["task"].map(dict(constants))
    by_run = ends.assign(near=near).groupby(["row", "kind", "seed"], sort=False)["near"].all().reset_index()
    shares = by_run.groupby("seed")["near"].mean()
    return {f"share of rows with each loss below {LEARNED:g} of a constant's, minus 0.5": part(shares - 0.5)}
