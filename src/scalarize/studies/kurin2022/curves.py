"""Figures 5 to 10, 12 and 17: validation and training over epochs, with regularisation and without."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd

from scalarize.analysis import outcomes, overfitting, statistics
from scalarize.analysis.overfitting import LOSS, NORM, VALIDATION
from scalarize.analysis.statistics import in_words
from scalarize.analysis.study_tables import StudyTable
from scalarize.studies import axes
from scalarize.studies.kurin2022 import protocol, trials
from scalarize.studies.kurin2022.protocol import (
    AGNOSTIC,
    CELEBA,
    CITYSCAPES,
    L2,
    L2_PLUS,
    MULTI_MNIST,
    PLAIN,
    REGULARISED,
    ROWS,
    UNITARY,
    TrainingProtocol,
)
from scalarize.studies.study import Context, PlannedRun, StudyResults, Target

GRADDROP = next(row for row in ROWS if row.name == "graddrop")
BAND = "Mean and 95 % interval over seeds."


def ablation(context: Context) -> list[PlannedRun]:
    """List every optimiser without regularisation; plain training with l2, with more of it, and regularised in full."""
    plain = protocol.plan(context, CELEBA, PLAIN)
    return plain + [p for kind in (L2, L2_PLUS, REGULARISED) for p in protocol.plan(context, CELEBA, kind, (UNITARY,))]


def with_and_without(context: Context) -> list[PlannedRun]:
    """List every optimiser regularised, and plain. Raises RequestError for tasks that have no average."""
    context = axes.averaged(context)
    return protocol.plan(context, CELEBA, REGULARISED) + protocol.plan(context, CELEBA, PLAIN)


def twins(context: Context) -> list[PlannedRun]:
    """List GradDrop and its sign-agnostic twin, regularised alike, and plain training.

    Raises RequestError for tasks that have no average.
    """
    return protocol.plan(axes.averaged(context), CELEBA, REGULARISED, (UNITARY, GRADDROP, AGNOSTIC))


def metrics_of(found: StudyResults) -> dict[str, dict[str, tuple[str, int]]]:
    """Return the metrics that validation is followed by: the average of all tasks, or each task's if there is none.

    Returns:
        Name in words -> task -> (its metric; 1, or -1 if lower is better).
    """
    data = found.context.data
    first = {o.name: (o.task.metric_name, 1 if o.task.higher_is_better else -1) for o in data.objectives}
    if data.has_average:
        return {"average": first}
    return {f"{t} {m}" + (" (negated)" if sign < 0 else ""): {t: (m, sign)} for t, (m, sign) in first.items()}


def epochs_of(found: StudyResults) -> pd.DataFrame:
    """Return the measurements at each epoch of each run; validation is the first of :func:`metrics_of`."""
    return overfitting.per_epoch(found.curves, next(iter(metrics_of(found).values())))


def validation(found: StudyResults) -> list[StudyTable]:
    """Return validation over epochs: one table for each of :func:`metrics_of`."""
    tables = []
    for name, metrics in metrics_of(found).items():
        epochs = overfitting.per_epoch(found.curves, metrics)
        tables.append(
            StudyTable("bands", f"Validation {name} over epochs", overfitting.bands(epochs, VALIDATION), BAND)
        )
    return tables


def onsets(found: StudyResults) -> list[StudyTable]:
    """Return the epoch at which validation is best: one table for each of :func:`metrics_of`."""
    return [
        onset(overfitting.per_epoch(found.curves, metrics), "" if name == "average" else f", {name}")
        for name, metrics in metrics_of(found).items()
    ]


def peaks_of(found: StudyResults) -> dict[str, pd.DataFrame]:
    """Return onset, best validation and fall of each run, by the names of :func:`metrics_of`."""
    return {
        name: overfitting.peaks(overfitting.per_epoch(found.curves, metrics))
        for name, metrics in metrics_of(found).items()
    }


def bands(found: StudyResults, *wanted: str) -> list[StudyTable]:
    """Return one table of bands for each of ``wanted``."""
    epochs = epochs_of(found)
    titles = {
        LOSS: "Training loss over epochs",
        NORM: "Norm of the summed gradient over epochs",
    }
    notes = {
        LOSS: f"{BAND} Sum over tasks of the unweighted losses, dropout at work.",
        NORM: f"{BAND} Of the shared parameters, before each look's update.",
    }
    return [StudyTable("bands", titles[what], overfitting.bands(epochs, what), notes[what]) for what in wanted]


def onset(epochs: pd.DataFrame, beside: str = "") -> StudyTable:
    """Return the epoch at which each row's validation is best, and its fall after that.

    ``beside`` is added to the title.
    """
    peaks = overfitting.peaks(epochs)
    rows = []
    for (row, kind), own in peaks.groupby(["row", "kind"], sort=False):
        for what in ("onset", "peak", "drop"):
            interval = statistics.t_interval([float(v) for v in own[what]])
            rows.append({"row": row, "kind": kind, "what": what} | interval.to_dict())
    said_so = tuple(f"{line[:-1]}{beside}." for line in overfitting.sentences(peaks))
    return StudyTable("onset", f"Onset of overfitting{beside}", pd.DataFrame(rows), BAND, said_so)


def norms(found: StudyResults) -> list[StudyTable]:
    """Return figure 6, with the norm at the last epoch in words."""
    (table,) = bands(found, NORM)
    epochs = epochs_of(found)
    last = epochs[(epochs["what"] == NORM) & (epochs["epoch"] == epochs["epoch"].max())]
    lines = []
    for (row, kind), own in last.groupby(["row", "kind"], sort=False):
        lines.append(f"{row}, {kind}: norm {in_words(statistics.t_interval(own['value'].tolist()))} in the last epoch.")
    said = StudyTable(table.kind, table.title, table.frame, table.note, tuple(lines))
    return [said, trials.norms(epochs)]


def peak_contrast(found: StudyResults) -> list[StudyTable]:
    """Return figure 10: the best validation average of each optimiser, regularised and plain."""
    epochs = epochs_of(found)
    peaks = overfitting.peaks(epochs)
    frame, lines = outcomes.contrast(peaks, "peak", REGULARISED, PLAIN)
    best = StudyTable("contrast", "Best validation average", frame, BAND, tuple(lines))
    return [best, onset(epochs), trials.regularised(peaks)]


def twin_tables(found: StudyResults) -> list[StudyTable]:
    """Return figure 12: the two curves, and a comparison of the test averages."""
    lower = bool((found.results["sign"] < 0).all())
    runs = outcomes.records(found.results)
    compared = outcomes.table(runs, "Test average", GRADDROP.name, lower)
    verdict = trials.alike(found, GRADDROP.name, AGNOSTIC.name)
    return [*validation(found), *bands(found, LOSS), compared, verdict]


def _courses(number: int, where: str, settings: TrainingProtocol, kinds: Sequence[str]) -> Target:
    said_so = " and ".join(kinds)

    def tables(found: StudyResults) -> list[StudyTable]:
        verdicts = [trials.postponed(peaks_of(found), with_l2=False)] if PLAIN in kinds else []
        verdicts.append(trials.near_optimum(found))
        return [*validation(found), *onsets(found), *bands(found, LOSS), trials.together(*verdicts)]

    return Target(
        f"kurin2022/figure-{number}",
        f"Validation and summed training loss on {where}, {said_so}",
        (settings.workload,),
        lambda context: [p for kind in kinds for p in protocol.plan(context, settings, kind)],
        tables,
        (*protocol.STATED, *settings.stated),
    )


def _on_celeba(
    number: int,
    title: str,
    plan: Callable[[Context], list[PlannedRun]],
    tables: Callable[[StudyResults], list[StudyTable]],
) -> Target:
    stated = (*protocol.STATED, *CELEBA.stated)
    return Target(f"kurin2022/figure-{number}", title, (CELEBA.workload,), plan, tables, stated)


TARGETS = (
    _on_celeba(
        5,
        "Validation over epochs without regularisation, beside plain training with l2",
        ablation,
        lambda found: [*validation(found), *onsets(found), trials.postponed(peaks_of(found), with_l2=True)],
    ),
    _on_celeba(6, "Norm of the summed gradient without regularisation", ablation, norms),
    _courses(7, "Multi-MNIST", MULTI_MNIST, (REGULARISED,)),
    _courses(8, "CelebA", CELEBA, (REGULARISED,)),
    _courses(9, "CelebA", CELEBA, (PLAIN,)),
    _on_celeba(10, "Best validation average with and without regularisation", with_and_without, peak_contrast),
    _on_celeba(12, "GradDrop beside its sign-agnostic twin", twins, twin_tables),
    _courses(17, "Cityscapes", CITYSCAPES, (REGULARISED,)),
)
