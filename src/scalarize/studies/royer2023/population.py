"""Supplement, tables 1a and 2: the effect of the population's size, and PBT against a grid on three tasks.

Our choices, where the supplement is silent: the three tasks are the first three of the workload, and the grid has the
multiples of 1/6 inside the simplex.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from scalarize.analysis import choice, statistics
from scalarize.analysis.statistics import in_words
from scalarize.analysis.study_tables import StudyTable
from scalarize.runs.request import train_request
from scalarize.runs.search import SearchRequest
from scalarize.studies.royer2023 import reported, stated
from scalarize.studies.scoring import chosen_on, scored
from scalarize.studies.study import Context, PlannedRun, StudyResults, Target
from scalarize.utils import files
from scalarize.weights import simplex

POPULATIONS = (6, 12, 24, 40)
READY = (3, 5)
QUANTILE = 0.25
SEEDS = 2
BASELINE_SEEDS = 4
GRID_SEEDS = 3
GRID_STEPS = 6  # weights on multiples of 1/6 inside the simplex: 10 trainings (our choice)
THREE = 3
GRID, SEARCH = "grid", "pbt"


def size_plan(context: Context) -> list[PlannedRun]:
    """List PBT at each population and ready interval, a retrain of each policy, and two baselines."""
    planned: list[PlannedRun] = []
    populations = [n for n in POPULATIONS if n <= (context.budget.population or n)]
    for n in context.budget.thin(populations or [context.budget.members(POPULATIONS[0])]):
        for ready in context.budget.thin(READY):
            for seed in context.seeds_of(SEEDS):
                labels = {"row": SEARCH, "population": n, "ready": ready, "seed": seed}
                planned += _searched(context, context.problem, labels, f"n {n} e {ready}")
    for row in reported.POPULATION_BASELINES:
        for seed in context.seeds_of(BASELINE_SEEDS):
            labels = {"row": row, "population": 0, "ready": 0, "seed": seed}
            planned.append(
                PlannedRun(f"even {row} seed {seed}", train_request(context.problem, seed=seed, method=row), labels)
            )
    return planned


def _searched(context: Context, problem: Any, labels: dict[str, Any], text: str) -> list[PlannedRun]:
    n, ready, seed = labels["population"], min(labels["ready"], context.epochs), labels["seed"]
    request = SearchRequest(
        **problem.fields(), algorithm=SEARCH, population=n, ready=ready, quantile=QUANTILE, split=0.7, seed=seed
    )
    name = f"search population {text} seed {seed}"
    retrain = train_request(problem, seed=seed, method="uniform")
    return [
        PlannedRun(name, request, labels),
        PlannedRun(f"retrain population {text} seed {seed}", retrain, labels, policy_of=name),
    ]


def size_table(found: StudyResults) -> list[StudyTable]:
    """Return the average test metric by population and ready interval, beside the paper's."""
    average = found.results.groupby(["row", "population", "ready", "seed"], sort=False)["test"].mean().reset_index()
    rows = []
    for (row, n, ready), own in average.groupby(["row", "population", "ready"], sort=False):
        interval = statistics.t_interval(own["test"].tolist())
        paper = (
            reported.POPULATIONS.get(int(str(ready)), {}).get(int(str(n)))
            if n
            else reported.POPULATION_BASELINES.get(str(row))
        )
        shown = {"row": row, "population": n, "ready": ready, "mean": interval.mean, "low": interval.low}
        rows.append(shown | {"high": interval.high, "seeds": interval.n, "paper": paper})
    return [StudyTable("population", "Size of the population", pd.DataFrame(rows), "Average test metric.")]


def grid_plan(context: Context) -> list[PlannedRun]:
    """List every inner point of a grid on the first three tasks, and PBT with its retrain."""
    problem = context.problem.model_copy(update={"tasks": tuple(context.data.names[:THREE])})
    points = [w for w in simplex.grid(len(problem.tasks), GRID_STEPS) if (w > 0).all()]
    planned: list[PlannedRun] = []
    for seed in context.seeds_of(GRID_SEEDS):
        for weights in context.budget.thin(points):
            named = dict(zip(problem.tasks, weights.tolist(), strict=True))
            text = "-".join(f"{w:.2f}" for w in weights)
            request = train_request(problem, seed=seed, weights=named)
            labels = {"row": GRID, "weights": text, "seed": seed}
            planned += scored(context, [PlannedRun(f"grid {text} seed {seed}", request, labels)])
        n = context.budget.members(POPULATIONS[1])
        labels = {"row": SEARCH, "population": n, "ready": READY[0], "seed": seed, "weights": ""}
        planned += _searched(context, problem, labels, f"three n {n} e {READY[0]}")
    return planned


def grid_table(found: StudyResults) -> list[StudyTable]:
    """Compare the grid's point of the best score with PBT's retrain, seed by seed; list every point."""
    keys = ["row", "weights", "seed"]
    means = found.results.groupby(keys, sort=False)["test"].mean().reset_index()
    table = found.results[found.results["row"] == GRID]
    scores = choice.means(table.assign(score=table["sign"] * table["validation"]), keys, "score", "run")
    chosen = choice.best_rows(scores, ["row", "seed"], "score", "run")[keys]
    best = pd.concat([means.merge(chosen, on=keys), means[means["row"] == SEARCH]])
    each = best.pivot(index="seed", columns="row", values="test")
    trainings = {GRID: float(means[means["row"] == GRID].groupby("seed").size().mean())}
    trainings[SEARCH] = 1 + sum(r["trainings"] for r in found.searches["result"]) / len(found.searches)
    rows = []
    for row in each:
        interval = statistics.t_interval(each[row].tolist())
        shown = {"row": row, "mean": interval.mean, "low": interval.low, "high": interval.high}
        rows.append(shown | {"seeds": interval.n, "trainings a seed": trainings[str(row)]})
    gap = statistics.t_interval((each[SEARCH] - each[GRID]).tolist())
    note = f"{', '.join(found.context.data.names[:THREE])}: the first three tasks (the paper does not name its three). "
    note += f"95 % intervals over seeds. The grid's point: the best on {chosen_on(found.context)}."
    finding = f"{SEARCH} minus grid on three tasks, average test metric: {in_words(gap)}."
    tables = [StudyTable("rows", "Search against grid on three tasks", pd.DataFrame(rows), note, (finding,))]
    return [*tables, _tried(found, means)]


def _tried(found: StudyResults, means: pd.DataFrame) -> StudyTable:
    """Return the weights that each side tried: one row per point, with the test average if a training is behind it."""
    names = found.context.data.names[:THREE]
    grid = means[means["row"] == GRID].groupby("weights", sort=False)["test"].mean()
    rows: list[dict[str, Any]] = []
    for text, test in grid.items():
        rows.append({"row": GRID, **dict(zip(names, map(float, str(text).split("-")), strict=True)), "test": test})
    for result in found.searches["result"]:
        for member in files.read_lines(Path(str(result["out"])) / "lineage.jsonl"):
            rows.append({"row": SEARCH, **dict(zip(names, member["weights"], strict=True))})
    return StudyTable(
        "simplex-points", "Weights that each side tried", pd.DataFrame(rows), "The third weight is the rest."
    )


DATA = ("celeba",)
TARGETS = (
    Target(
        "royer2023/population-size",
        "Supplement 1a: population and ready interval",
        DATA,
        size_plan,
        size_table,
        stated.on(DATA, stated.SEARCHED),
    ),
    Target(
        "royer2023/pbt-against-grid",
        "Supplement 2: PBT and grid on three tasks",
        DATA,
        grid_plan,
        grid_table,
        stated.on(DATA, stated.THREE, stated.CHOSEN, stated.SEARCHED),
    ),
)
