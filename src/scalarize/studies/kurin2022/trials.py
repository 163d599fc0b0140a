"""Claims of the paper on trial by the rule of :mod:`scalarize.analysis.claims`: what ends the page of each target."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import pandas as pd

from scalarize.analysis import claims, optimiser_claims, overfitting, statistics
from scalarize.analysis.claims import IntervalAt
from scalarize.analysis.study_tables import StudyTable
from scalarize.studies.kurin2022.protocol import PLAIN, REGULARISED, UNITARY
from scalarize.studies.study import StudyResults

NO_BETTER = "No optimiser beats plain training (sections 4.1, 4.2)"
POSTPONED = "Optimisers postpone the onset of overfitting (section 5.1)"
LIKE_L2 = "l2 postpones the onset of overfitting (section 5.1)"
NORMS = (
    "Towards convergence the summed gradient is larger under every optimiser, most under IMTL and MGDA (section 5.3)"
)
NEAR = "Most rows drive the training loss of every task near its optimum (section 4)"
REGULARISATION = "Regularisation raises the best validation of every row (section 4.1.2)"
TWINS = "GradDrop and its sign-agnostic twin end alike (section 5.2)"
OVERFLOW = "IMTL overflows in reinforcement learning (section 4.2)"
LIKE_POPART = "PCGrad does no more than PopArt for rewards on unlike scales (section 4.2)"
STABILISED = "{} raises the best average success (section 4.2)"
LARGEST = ("imtl", "mgda")


def trial(
    parts: Mapping[str, Mapping[str, IntervalAt]], flaws: Mapping[str, Sequence[claims.Flaw]] | None = None
) -> StudyTable:
    """Return the table of some claims and their parts; ``flaws``: what forbids a verdict, by claim."""
    known = {(claim, ""): own for claim, own in (flaws or {}).items()}
    return claims.table({(claim, ""): own for claim, own in parts.items()}, known)


def together(*tables: StudyTable) -> StudyTable:
    """Return the claims of several tables as one."""
    frame = pd.concat([table.frame for table in tables], ignore_index=True)
    return dataclasses.replace(tables[0], frame=frame, findings=tuple(f for table in tables for f in table.findings))


def averages(found: StudyResults, value: str = "test") -> pd.DataFrame:
    """Return the mean of ``value`` over the tasks of each run: row, kind, seed, ``value``."""
    runs = found.results.groupby(["run", "row", "kind", "seed"], sort=False)[value].agg(statistics.mean_of_all)
    return runs.reset_index().dropna(subset=value)


def lower_is_better(found: StudyResults) -> bool:
    """Return True if lower is better for every task."""
    return bool((found.results["sign"] < 0).all())


def unbeaten(found: StudyResults) -> StudyTable:
    """Try that no row has a better test average than plain training."""
    parts = optimiser_claims.not_better(averages(found), UNITARY.name, lower=lower_is_better(found))
    return trial({NO_BETTER: parts})


def unbeaten_by_metric(measures: pd.DataFrame) -> StudyTable:
    """Try the same for each task and metric (columns row, seed, task, metric, sign and test)."""
    parts: dict[str, IntervalAt] = {}
    for (task, metric), own in measures.dropna(subset="test").groupby(["task", "metric"], sort=False):
        found = optimiser_claims.not_better(own, UNITARY.name, lower=bool((own["sign"] < 0).all()))
        parts |= {f"{task} {metric}: {name}": interval for name, interval in found.items()}
    return trial({NO_BETTER: parts})


def best_unbeaten(
    peaks: pd.DataFrame, focus: str, claim: str = NO_BETTER, rows: Sequence[str] | None = None
) -> StudyTable:
    """Try that no row, or none of ``rows``, has a larger best validation than ``focus``.

    ``peaks``: of :func:`overfitting.peaks`.
    """
    return trial({claim: optimiser_claims.not_better(peaks, focus, "peak", rows=rows)})


def postponed(peaks: Mapping[str, pd.DataFrame], with_l2: bool) -> StudyTable:
    """Try the onset of overfitting without regularisation, of optimisers and, if wanted, of l2.

    ``peaks``: by metric in words.
    """
    found: dict[str, dict[str, IntervalAt]] = {
        claim: {} for claim in ((POSTPONED, LIKE_L2) if with_l2 else (POSTPONED,))
    }
    flaws: dict[str, list[claims.Flaw]] = {}
    for name, own in peaks.items():
        late = still_learning(own)
        flaws |= {claim: [claims.Flaw(late)] for claim in found if late}
        parts = {POSTPONED: optimiser_claims.later_overfitting(own, UNITARY.name, PLAIN)}
        if with_l2:
            parts[LIKE_L2] = optimiser_claims.regularised_later(own, UNITARY.name, PLAIN)
        for claim, intervals in parts.items():
            before = "" if len(peaks) == 1 else f"{name}, "
            found[claim] |= {f"{before}{key}": interval for key, interval in intervals.items()}
    return trial(found, flaws)


def still_learning(peaks: pd.DataFrame) -> str:
    """Say which rows without regularisation are best in the last epoch, where an onset cannot be seen; "" if none.

    ``peaks``: of :func:`overfitting.peaks`, whose fall is 0 in such runs.
    """
    plain = peaks[peaks["kind"] == PLAIN]
    last = (plain["drop"] == 0).groupby(plain["row"], sort=False).sum()
    named = [f"{row} in {count} of {(plain['row'] == row).sum()} runs" for row, count in last.items() if count]
    return f"validation is best in the last epoch of {', '.join(named)}" if named else ""


def norms(epochs: pd.DataFrame) -> StudyTable:
    """Try the norms of the summed gradient in the last epoch."""
    ends = optimiser_claims.last(epochs, overfitting.NORM)
    return trial({NORMS: optimiser_claims.larger(ends[ends["kind"] == PLAIN], UNITARY.name, LARGEST)})


def near_optimum(found: StudyResults) -> StudyTable:
    """Try that most rows fit every task; no part if a task has no constant prediction to measure that by."""
    data = found.context.data
    constants = {o.name: data.constant(o, "loss") for o in data.objectives}
    known = {name: loss for name, loss in constants.items() if loss is not None}
    whole = len(known) == len(constants)
    return trial({NEAR: optimiser_claims.most_near_optimum(found.curves, known) if whole else {}})


def regularised(peaks: pd.DataFrame) -> StudyTable:
    """Try that regularisation raises the best validation."""
    return trial({REGULARISATION: optimiser_claims.gain_of_kind(peaks, "peak", REGULARISED, PLAIN)})


def alike(found: StudyResults, first: str, second: str) -> StudyTable:
    """Try that neither of two rows has the better test average."""
    frame, lower = averages(found), lower_is_better(found)
    parts = optimiser_claims.not_better(frame, first, lower=lower, rows=[second])
    parts |= optimiser_claims.not_better(frame, second, lower=lower, rows=[first])
    return trial({TWINS: parts})


def overflows(found: StudyResults, row: str) -> StudyTable:
    """Try that the runs of ``row`` diverge: the share of them minus a half."""
    lost = {name: "diverged" in answer for name, answer in found.answers.items() if name.startswith(f"{row} ")}
    share = pd.Series({name: float(one) for name, one in lost.items()}, dtype=float)
    return trial({OVERFLOW: {f"share of {row}'s runs that diverge, minus 0.5": optimiser_claims.part(share - 0.5)}})


def stabilised(peaks: pd.DataFrame, first: str, second: str) -> StudyTable:
    """Try that the kind ``first`` has a larger best average success than ``second``, row by row."""
    return trial({STABILISED.format(first): optimiser_claims.gain_of_kind(peaks, "peak", first, second)})
