"""Figures 4, 13 and 16: multi-task reinforcement learning (section 4.2), and the ablation of reward scaling.

Settings are those of the published scripts. Unitary scalarization is there the mean over the tasks, not their sum, and
PCGrad averages, which is no matter to Adam but for the actor's l2; MGDA's weights minimise and combine gradients of
length 1; IMTL learns no scales of losses, on any number of tasks. On MT10 its targets are never above the return of
the largest reward seen; on MT50 it has a tenth of the learning rate, and neither that bound nor l2. Figure 16 is
without l2, and of unitary scalarization alone (there, of PCGrad as well).

The number of seeds is given in an appendix that we do not have: 10 is our choice, as are the coefficients of figure 16.
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
from scalarize.studies.kurin2022 import curves, trials
from scalarize.studies.method_rows import Row, extra_rows
from scalarize.studies.study import Target
from scalarize.utils.errors import RequestError

SEEDS = 10
UNITARY = Row("unitary", "uniform")
PCGRAD = Row("pcgrad", "pcgrad", {"reduction": "mean"})
ROWS = (
    UNITARY,
    Row("mgda", "mgda", {"normalization": "l2", "applied_to": "normalized"}),
    Row("graddrop", "graddrop", {"renormalize": True}),
    PCGRAD,
    Row("rlw-dirichlet", "rlw", {"distribution": "dirichlet", "times_tasks": True}),
    Row("rlw-normal", "rlw", {"distribution": "normal", "times_tasks": True}),
)
IMTL = Row("imtl", "imtl-g")
MANY = 50  # tasks, with which the paper gives IMTL other settings
DECAY, CLIP, RATE = "optimizer.weight_decay", "data.target_clip", "optimizer.lr"
# Of the actor, by row; rows that are not in the paper get that of plain training (our choice).
L2 = {"unitary": 3e-4, "imtl": 3e-4, "rlw-dirichlet": 3e-4, "rlw-normal": 3e-4, "pcgrad": 1e-4, "graddrop": 1e-4}
L2 |= {"mgda": 0.0}
NO_SCALING = "No moving average of rewards beats scaling them when a batch is drawn (section 4.2)"
AT_SAMPLING, COEFFICIENTS = "at sampling", (1e-4, 1e-3, 1e-2)
PER = 10_000  # updates
STATED = (
    "Version 3 of Meta-World, tested on goals that training never saw (theirs: version 1, on those of training)",
    "Every batch holds equally many transitions of each task: 128 of 10, 26 of 50, which are 1,300 in all (theirs: "
    "1,280, drawn from all tasks' together)",
    "Rewards are divided by the deviation of those that the replay holds (theirs: of all ever seen)",
    "10 seeds: the number is in an appendix that we do not have",
)


def planned(
    context: Context,
    row: Row,
    kind: str,
    axis: dict[str, Any],
    defaults: dict[str, Any] | None = None,
    label: str | None = None,
) -> list[PlannedRun]:
    """List ``row`` at every seed, by default with its l2 of the actor.

    ``axis``: settings that the figure compares; ``defaults``: the row's own, for which those asked for stand in. Raises
    RequestError for a workload that is not reinforcement learning.
    """
    if context.workload.learner is None:
        raise RequestError(f"`workload` {context.workload.name}: this figure is of tasks that are learned by acting")
    own = {DECAY: L2.get(row.name, L2["unitary"])} | (defaults or {})
    settings = {key: value for key, value in own.items() if key not in context.problem.settings} | axis
    name = label or row.name
    return [
        PlannedRun(
            f"{name} {kind} seed {seed}",
            row.request(context.problem, seed, settings),
            {"row": name, "kind": kind, "seed": seed},
            keep_records=True,
        )
        for seed in context.seeds_of(SEEDS)
    ]


def compared(context: Context) -> list[PlannedRun]:
    """List every optimiser but IMTL, each with its l2 of the actor."""
    return [p for row in extra_rows(context, ROWS) for p in planned(context, row, "regularised", {})]


def unstable(context: Context) -> list[PlannedRun]:
    """List IMTL with bounded targets, beside plain training; on many tasks slower, with neither bound nor l2."""
    slower = context.problem.recipe(context.workload).optimizer.lr / 10
    many = len(context.data.names) >= MANY
    own = {RATE: slower, CLIP: None, DECAY: 0.0} if many else {CLIP: "rewards"}
    return planned(context, UNITARY, "regularised", {}) + planned(context, IMTL, "regularised", {}, own)


def scalings(context: Context) -> list[PlannedRun]:
    """List plain training with rewards scaled when a batch is drawn, and by a moving average before they are stored."""
    drawn, plain = {"data.rewards": "sampling"}, {DECAY: 0.0}
    found = planned(context, UNITARY, "rewards", drawn, plain, AT_SAMPLING)
    for rate in COEFFICIENTS:
        moving = {"data.rewards": "moving-average", "data.reward_rate": rate}
        found += planned(context, UNITARY, "rewards", moving, plain, f"moving average {rate:g}")
    return found


def best_of(found: StudyResults) -> pd.DataFrame:
    """Return the best average success of each run over its evaluations, as ``peak``."""
    return overfitting.peaks(curves.epochs_of(found))


def best(found: StudyResults, focus: str) -> list[StudyTable]:
    """Return the paper's number, the best average success over evaluations, and the test success of the selected model.

    The test is on goals that were used for nothing else.
    """
    peaks = best_of(found)
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


def courses(found: StudyResults) -> list[StudyTable]:
    return [*curves.validation(found), *curves.bands(found, overfitting.LOSS)]


def target(name: str, title: str, workloads: Sequence[str], plan: Any, tables: Any) -> Target:
    return Target(f"kurin2022/{name}", title, tuple(workloads), plan, tables, STATED)


TARGETS = (
    target(
        "figure-4",
        "Success on Meta-World, and time of 10,000 updates",
        ("mt10", "mt50"),
        compared,
        lambda found: [
            *best(found, UNITARY.name),
            *courses(found),
            times(found, UNITARY.name),
            trials.best_unbeaten(best_of(found), UNITARY.name),
        ],
    ),
    target(
        "figure-13",
        "IMTL on Meta-World, where it overflows",
        ("mt10", "mt50"),
        unstable,
        lambda found: [*courses(found), trials.overflows(found, IMTL.name)],
    ),
    target(
        "figure-16",
        "Success by how rewards are scaled",
        ("mt10",),
        scalings,
        lambda found: [
            *best(found, AT_SAMPLING),
            *courses(found),
            trials.best_unbeaten(best_of(found), AT_SAMPLING, NO_SCALING),
        ],
    ),
)
