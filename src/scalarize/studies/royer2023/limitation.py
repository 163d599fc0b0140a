"""Section 6, the limitation: "scalarization only finds solutions on the convex parts of the Pareto front".

The paper shows nothing for it and meets no such case. Here it is tried on a front that is known and concave: fixed
weights against the smooth Tchebycheff scalarization (``stch``) with the same weights as preferences, and against a
population that is ranked by dominance (``mopbt``), which weighs sums, too, but may change their weights on the way.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from scalarize.analysis import claims, fronts, pareto, statistics, trade_offs
from scalarize.analysis.statistics import in_words
from scalarize.analysis.study_tables import StudyTable
from scalarize.runs.request import train_request
from scalarize.runs.search import SearchRequest
from scalarize.studies.royer2023 import stated
from scalarize.studies.study import Context, PlannedRun, StudyResults, Target
from scalarize.utils import files
from scalarize.utils.errors import RequestError

WEIGHTS = tuple(round(0.1 * k, 1) for k in range(1, 10))
SEEDS = 3
SMOOTH, CROWD, SUM = "stch", "mopbt", "scalarization"
SMOOTHING = 0.05  # of stch: losses here lie below 1
POPULATION, READY, QUANTILE = 12, 3, 0.4  # as table 2's searches


def plan(context: Context) -> list[PlannedRun]:
    """List trainings with fixed weights, with the same as preferences, and searches, of the first two tasks."""
    names = context.data.names[:2]
    if len(names) < 2:
        raise RequestError(f"`workload` {context.workload.name}: a front in the plane has two tasks")
    problem = context.problem
    if len(context.data.names) > 2:
        problem = problem.model_copy(update={"tasks": tuple(names)})
    planned = []
    for seed in context.seeds_of(SEEDS):
        for p in context.budget.thin(WEIGHTS, finer=2):
            weights = dict(zip(names, (p, round(1 - p, 1)), strict=True))
            # max_t weight_t loss_t: the form in which a nadir divides the loss.
            hyper = {"form": "mtl", "nadir": [1 / w for w in weights.values()], "mu": SMOOTHING}
            for row, source in ((SUM, {"weights": weights}), (SMOOTH, {"method": SMOOTH, "hyper": hyper})):
                labels = {"row": row, "weight": p, "rate": 0.0, "value": 0.0, "seed": seed}
                request = train_request(problem, seed=seed, **source)
                planned.append(PlannedRun(f"{row} {p:g} seed {seed}", request, labels))
        asked = SearchRequest(
            **problem.fields(),
            algorithm=CROWD,
            population=context.budget.members(POPULATION),
            ready=min(READY, context.epochs),
            quantile=QUANTILE,
            split=0.7,
            seed=seed,
        )
        planned.append(PlannedRun(f"search {CROWD} seed {seed}", asked, {"row": CROWD, "seed": seed}))
    return planned


def tabulate(found: StudyResults) -> list[StudyTable]:
    """Return the models in the plane beside the known front, and what each row covers of its hypervolume."""
    first, second = found.context.data.objectives[:2]
    known = found.context.data.info.get("front")
    directions = [o.task.higher_is_better for o in (first, second)]
    measures = pd.concat([found.measures, _members(found)], ignore_index=True)
    metrics = [(o.name, o.task.metric_name) for o in (first, second)]
    models = fronts.plane(measures, metrics[0], metrics[1])
    worst = (1.0, 1.0) if known else trade_offs.corner(models, {}, directions)
    corner = (float(worst[0]), float(worst[1]))
    shown = models if known is None else pd.concat([models, _true(known)], ignore_index=True)
    shown = shown.assign(x_label=" ".join(metrics[0]), y_label=" ".join(metrics[1]))
    volumes, gaps = _volumes(models, corner, directions, known)
    findings = [f"{row} covers {in_words(interval)} of {_whole(known)}." for row, interval in volumes.items()]
    note = "A point a model; mopbt: its members at the end, on the samples that it held out."
    note += (
        " Line: the models of a row that no other of it dominates; the known front is drawn besides." if known else ""
    )
    rows = [{"row": row, "share": i.mean, "low": i.low, "high": i.high, "seeds": i.n} for row, i in volumes.items()]
    tried = {
        (f"convex parts only, {row}", ""): {f"hypervolume of {row} minus that of {SUM}": gap.at}
        for row, gap in gaps.items()
    }
    return [
        StudyTable("known-front", "Models beside the front", shown, note, tuple(findings)),
        StudyTable("shares", "Hypervolume", pd.DataFrame(rows), f"Share of {_whole(known)}; worst corner {corner}."),
        claims.table(tried),
    ]


def _whole(known: Any) -> str:
    return "the known front's hypervolume" if known else "the hypervolume of all models together"


def _volumes(
    models: pd.DataFrame, corner: tuple[float, float], directions: list[bool], known: Any
) -> tuple[dict[str, statistics.Interval], dict[str, statistics.Interval]]:
    """Return by row its share of the whole hypervolume, and that minus scalarization's, over seeds."""
    shares: dict[str, list[float]] = {}
    for _, own in models.groupby("seed", sort=False):
        whole = pareto.hypervolume(known or own[["x", "y"]].to_numpy(), corner, directions)
        for row, mine in own.groupby("row", sort=False):
            volume = pareto.hypervolume(mine[["x", "y"]].to_numpy(), corner, directions)
            shares.setdefault(str(row), []).append(volume / whole if whole else float("nan"))
    gaps = {row: np.subtract(values, shares[SUM]) for row, values in shares.items() if row != SUM}
    return (
        {row: statistics.t_interval(values) for row, values in shares.items()},
        {row: statistics.t_interval(values.tolist()) for row, values in gaps.items()},
    )


def _members(found: StudyResults) -> pd.DataFrame:
    """Return the members of each search at its end, as trainings are measured."""
    rows = []
    for search in found.searches.to_dict("records"):
        lines = files.read_lines(Path(str(search["result"]["out"])) / "lineage.jsonl")
        last = max(line["epoch"] for line in lines)
        for line in (line for line in lines if line["epoch"] == last):
            place = {"run": f"{search['run']} member {line['member']}", "row": search["row"], "seed": search["seed"]}
            place |= {"weight": np.nan, "rate": 0.0, "value": 0.0}
            for objective, score in zip(found.context.data.objectives[:2], line["metrics"], strict=True):
                sign = 1 if objective.task.higher_is_better else -1
                value = float("nan") if score is None else sign * score
                rows.append(
                    place | {"task": objective.name, "metric": objective.task.metric_name, "sign": sign, "test": value}
                )
    return pd.DataFrame(rows)


def _true(known: list[tuple[float, float]]) -> pd.DataFrame:
    frame = pd.DataFrame(known, columns=["x", "y"])
    return frame.assign(row="the front", weight=np.nan, rate=0.0, value=0.0, seed=0, run="", front=True)


TITLE = "Section 6: a front that is not convex, and what finds it"
TARGETS = (Target("royer2023/limitation", TITLE, ("concave-front",), plan, tabulate, (stated.LIMIT,)),)
