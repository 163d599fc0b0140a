"""Figures 4, 13 and 16: multi-task reinforcement learning (section 4.2), and the ablation of reward scaling.

The number of seeds is given in an appendix that we do not have: 10 is our choice, as are the coefficients of figure 16
and the bound of IMTL's targets (the largest reward, 10, over 1 minus the discount). MGDA's weights are on raw
gradients.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from scalarize.analysis import outcomes, overfitting
from scalarize.analysis.study_tables import StudyTable
from scalarize.runs.plan import PlannedRun
from scalarize.studies.context import Context
from scalarize.studies.gather import StudyResults
from scalarize.studies.kurin2022 import curves
from scalarize.studies.kurin2022.protocol import UNITARY
from scalarize.studies.method_rows import Row, extra_rows
from scalarize.studies.study import Target
from scalarize.utils.errors import RequestError

SEEDS = 10
ROWS = (
    UNITARY,
    Row("mgda", "mgda"),
    Row("graddrop", "graddrop"),
    Row("pcgrad", "pcgrad"),
    Row("rlw-dirichlet", "rlw", {"distribution": "dirichlet"}),
    Row("rlw-normal", "rlw", {"distribution": "normal"}),
)
IMTL, IMTL_G = Row("imtl", "imtl"), Row("imtl", "imtl-g")  # the second one does not scale losses
MANY = 50  # tasks, with which the paper gives IMTL other settings
L2 = {**dict.fromkeys(("unitary", "rlw-dirichlet", "rlw-normal", "imtl"), 3e-4), "pcgrad": 1e-4, "graddrop": 1e-4}
BOUND = 1000.0
AT_SAMPLING, COEFFICIENTS = "at sampling", (1e-4, 1e-3, 1e-2)
PER = 10_000  # updates


def _planned(
    context: Context, row: Row, kind: str, settings: dict[str, Any], label: str | None = None
) -> list[PlannedRun]:
    """List ``row`` at every seed. Raises RequestError for a workload that is not reinforcement learning."""
    if context.workload.learner is None:
        raise RequestError(f"`workload` {context.workload.name}: this figure is of tasks that are learned by acting")
    decay = {"optimizer.weight_decay": L2.get(row.name, 0.0)}
    name = label or row.name
    return [
        PlannedRun(
            f"{name} {kind} seed {seed}",
            row.request(context.problem, seed, decay | settings),
            {"row": name, "kind": kind, "seed": seed},
            keep_records=True,
        )
        for seed in context.seeds_of(SEEDS)
    ]


def compared(context: Context) -> list[PlannedRun]:
    """List every optimiser but IMTL, each with its l2 of the actor."""
    return [p for row in extra_rows(context, ROWS) for p in _planned(context, row, "regularised", {})]


def unstable(context: Context) -> list[PlannedRun]:
    """List IMTL with clipped targets, beside plain training; on many tasks slower and without its scaling of losses."""
    many = len(context.data.names) >= MANY
    slower = {"optimizer.lr": context.problem.recipe(context.workload).optimizer.lr / 10} if many else {}
    imtl = _planned(context, IMTL_G if many else IMTL, "regularised", {"data.target_clip": BOUND, **slower})
    return _planned(context, UNITARY, "regularised", {}) + imtl


def scalings(context: Context) -> list[PlannedRun]:
    """List plain training with rewards scaled when a batch is drawn, and by a moving average before they are stored."""
    found = _planned(context, UNITARY, "rewards", {"data.rewards": "sampling"}, AT_SAMPLING)
    for rate in COEFFICIENTS:
        moving = {"data.rewards": "moving-average", "data.reward_rate": rate}
        found += _planned(context, UNITARY, "rewards", moving, f"moving average {rate:g}")
    return found


def best(found: StudyResults, focus: str) -> list[StudyTable]:
    """Return the paper's number, the best average success over evaluations, and the test success of the selected model.

    The test is on goals that were used for nothing else.
    """
    peaks = overfitting.peaks(curves.epochs_of(found))
    ours = outcomes.table(outcomes.records(found.results), "Test success", focus, note="Of the best epoch's model.")
    paper = outcomes.table(
        outcomes.records(peaks.assign(task="best").rename(columns={"peak": "test"})),
        "Best average success over evaluations",
        focus,
        note="As the paper reports it: the largest of all evaluations, which favours noise.",
    )
    # Of validation: not a comparison on the test split, and not to be drawn as one.
    own = paper.frame[paper.frame["task"] == "average"].drop(columns="task").rename(columns={"method": "row"})
    return [ours, dataclasses.replace(paper, kind="contrast", frame=own.assign(kind="validation"))]


def times(found: StudyResults, to: str) -> StudyTable:
    """Return the seconds for 10,000 updates: median and quartiles over the epochs of all seeds, and the ratio to
    ``to``'s.
    """
    seconds: dict[str, list[float]] = {}
    for run, own in found.results.drop_duplicates("run").set_index("run").iterrows():
        seen = [t for t in found.answers[str(run)]["times"] if t["updates"]]
        seconds.setdefault(str(own["row"]), []).extend(PER * t["updating"] / t["updates"] for t in seen)
    rows = []
    for row, values in seconds.items():
        low, middle, high = (float(q) for q in np.quantile(values or [np.nan], (0.25, 0.5, 0.75)))
        rows.append({"method": row, "seconds": middle, "low": low, "high": high, "epochs": len(values)})
    frame = pd.DataFrame(rows)
    base = float(frame.loc[frame["method"] == to, "seconds"].iloc[0])
    frame["ratio"] = frame["seconds"] / base
    slowest = frame.nlargest(1, "ratio").iloc[0]
    said = f"Slowest update: {slowest['method']}, {slowest['ratio']:.2f} times {to}'s."
    note = "Updates alone, without acting; by the clock, of runs that came one after the other."
    return StudyTable("update-times", "Time of 10,000 updates", frame, note, (said,))


def _curves(found: StudyResults) -> list[StudyTable]:
    return [*curves.validation(found), *curves.bands(found, overfitting.LOSS)]


def _target(number: int, title: str, workloads: Sequence[str], plan: Any, tables: Any) -> Target:
    return Target(f"kurin2022/figure-{number}", title, tuple(workloads), plan, tables)


TARGETS = (
    _target(
        4,
        "Success on Meta-World, and time of 10,000 updates",
        ("mt10", "mt50"),
        compared,
        lambda found: [*best(found, UNITARY.name), *_curves(found), times(found, UNITARY.name)],
    ),
    _target(13, "IMTL on Meta-World, where it overflows", ("mt10", "mt50"), unstable, _curves),
    _target(
        16,
        "Success by how rewards are scaled",
        ("mt10",),
        scalings,
        lambda found: [*best(found, AT_SAMPLING), *_curves(found)],
    ),
)
