"""Ablations of what stabilises reinforcement learning (section 4.2, appendices C.2 and E.2), which have no number here.

As in the scripts they are of unitary scalarization and PCGrad, without l2 of the actor where that is not the question:
with and without that l2, and with a replay of 4 million transitions or 1 million. PopArt the paper only names: it
expects of it what PCGrad does to unlike rewards, without gradients by task; the scripts have none of it, so its rate is
the published one of PopArt (Hessel et al. 2019), and rewards are not divided by their deviation besides.
"""

from __future__ import annotations

from scalarize.analysis import outcomes, statistics
from scalarize.analysis.study_tables import StudyTable
from scalarize.runs.plan import PlannedRun
from scalarize.studies.context import Context
from scalarize.studies.gather import StudyResults
from scalarize.studies.kurin2022 import curves, trials
from scalarize.studies.kurin2022.reinforcement import (
    DECAY,
    L2,
    PCGRAD,
    UNITARY,
    best,
    best_of,
    courses,
    planned,
    target,
)

REPLAY, POPART, REWARDS = "data.replay", "model.popart", "data.rewards"
WITH, WITHOUT = "actor l2", "no actor l2"
LARGE, SMALL = "4x replay", "1x replay"
NORMALISED, RATE = "unitary with PopArt", 3e-4


def actor_l2(context: Context) -> list[PlannedRun]:
    """List unitary scalarization and PCGrad with l2 of the actor (the one asked for, if any), and without."""
    asked = context.problem.settings.get(DECAY)
    found = []
    for row in (UNITARY, PCGRAD):
        found += planned(context, row, WITH, {DECAY: L2[row.name] if asked is None else asked})
        found += planned(context, row, WITHOUT, {DECAY: 0.0})
    return found


def replays(context: Context) -> list[PlannedRun]:
    """List unitary scalarization and PCGrad with the recipe's replay and with a quarter of it, both without l2."""
    whole, found = context.problem.recipe(context.workload).data["replay"], []
    for row in (UNITARY, PCGRAD):
        for kind, size in ((LARGE, whole), (SMALL, max(1, whole // 4))):
            found += planned(context, row, kind, {REPLAY: size}, {DECAY: 0.0})
    return found


def normalised(context: Context) -> list[PlannedRun]:
    """List PCGrad, and unitary scalarization with and without PopArt, all on rewards as they are."""
    raw = {REWARDS: "none"}
    found = [run for row in (UNITARY, PCGRAD) for run in planned(context, row, "raw rewards", raw)]
    return found + planned(context, UNITARY, "raw rewards", {POPART: RATE, **raw}, label=NORMALISED)


def by_kind(found: StudyResults, first: str, second: str) -> list[StudyTable]:
    """Return the contrast of two kinds, row by row: best average success, and test success of the best epoch."""
    peaks = best_of(found)
    place = ["run", "row", "kind", "seed"]
    tested = found.results.groupby(place, sort=False)["test"].agg(statistics.mean_of_all).reset_index()
    tables = []
    for title, frame, value in (
        ("Best average success over evaluations", peaks, "peak"),
        ("Test success", tested, "test"),
    ):
        rows, lines = outcomes.contrast(frame.dropna(subset=value), value, first, second)
        tables.append(StudyTable("contrast", title, rows, curves.BAND, tuple(lines)))
    return [*tables, *courses(found), trials.stabilised(peaks, first, second)]


TARGETS = (
    target(
        "actor-l2",
        "Success on Meta-World with and without l2 of the actor",
        ("mt10", "mt50"),
        actor_l2,
        lambda found: by_kind(found, WITH, WITHOUT),
    ),
    target(
        "replay",
        "Success on Meta-World by the size of the replay",
        ("mt10",),
        replays,
        lambda found: by_kind(found, LARGE, SMALL),
    ),
    target(
        "popart",
        "Success on Meta-World with PopArt, on rewards as they are",
        ("mt10", "mt50"),
        normalised,
        lambda found: [
            *best(found, NORMALISED),
            *courses(found),
            trials.best_unbeaten(best_of(found), NORMALISED, trials.LIKE_POPART, [PCGRAD.name]),
        ],
    ),
)
