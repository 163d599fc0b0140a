"""Appendix 1.1: the sweep of the single-dataset baseline, and figure A: samples per class in each domain."""

from __future__ import annotations

import collections
import itertools
from typing import Any

import pandas as pd
import torch

from scalarize.analysis import choice, statistics
from scalarize.analysis.study_tables import StudyTable
from scalarize.runs.request import train_request
from scalarize.studies import axes
from scalarize.studies.royer2023 import stated
from scalarize.studies.royer2023.stated import on
from scalarize.studies.scoring import chosen_on, scored
from scalarize.studies.study import Context, PlannedRun, StudyResults, Target

RATES = (10.0, 1.0, 0.1, 0.01)  # of DomainNet's 0.03: 0.3, 0.03, 0.003, 0.0003
LENGTHS = (1, 2, 3)  # of its 30 epochs: 30, 60, 90
CHUNK = 1024  # samples read at once
SEEDS = 1  # the paper states none


def plan(context: Context) -> list[PlannedRun]:
    """List the reference domain (or the first task) alone, at each learning rate and length."""
    names = context.data.names
    alone = context.workload.reference if context.workload.reference in names else names[0]
    base = context.problem.recipe(context.workload).optimizer.lr
    rates = context.budget.thin(axes.rates(base, RATES))
    lengths = context.budget.thin([context.epochs * k for k in LENGTHS])
    planned = []
    for rate, epochs, seed in itertools.product(rates, lengths, context.seeds_of(SEEDS)):
        problem = axes.with_settings(context.problem, {"optimizer.lr": rate}, epochs=epochs)
        request = train_request(problem, seed=seed, method="uniform", single=alone)
        labels = {"rate": rate, "length": epochs, "seed": seed}
        planned.append(PlannedRun(f"tuning {alone} lr {rate:g} epochs {epochs} seed {seed}", request, labels))
    return scored(context, planned)


def tabulate(found: StudyResults) -> list[StudyTable]:
    """Return score and test of each setting; the setting with the best score is the one to use."""
    rows: list[dict[str, Any]] = []
    for (rate, length), own in found.results.groupby(["rate", "length"], sort=False):
        test = statistics.t_interval(own["test"].tolist())
        row = {"rate": rate, "length": length, "validation": own["validation"].mean(), "test": test.mean}
        rows.append(row | {"low": test.low, "high": test.high, "score": (own["sign"] * own["validation"]).mean()})
        rows[-1]["run"] = own["run"].iloc[0]
    best = choice.best(rows, lambda row: row["score"], lambda row: str(row["run"]))
    where = chosen_on(found.context)
    finding = f"Best on {where}: learning rate {best['rate']:g}, {int(best['length'])} epochs."
    note = f"Metric of one task alone; validation: on {where}."
    return [StudyTable("tuning", "Single-dataset baseline", pd.DataFrame(rows).drop(columns="run"), note, (finding,))]


def no_runs(context: Context) -> list[PlannedRun]:
    """Return no runs: figure A needs the data only."""
    return []


def imbalance(found: StudyResults) -> list[StudyTable]:
    """Return training samples per class and domain (a task without classes counts as one class)."""
    rows = []
    for o in found.context.data.objectives:
        counts: collections.Counter[int] = collections.Counter()
        source = found.context.data.domains[o.domain].splits["train"]
        for part in torch.split(torch.arange(len(source)), CHUNK):
            target = source.batch(part).targets[o.task.name].flatten()
            is_class = o.task.outputs > 1 or bool(((target == 0) | (target == 1)).all())
            counts.update(target.long().tolist() if is_class else [0] * len(target))
        rows += [{"domain": o.name, "class": c, "count": n} for c, n in sorted(counts.items())]
    frame = pd.DataFrame(rows)
    by_domain = frame.groupby("domain", sort=False)["count"]
    sums, within = by_domain.sum(), by_domain.max() / by_domain.min()
    finding = f"Training samples of the largest over the smallest domain: {sums.max() / sums.min():.2f}; of the "
    finding += f"largest over the smallest class: {within.max():.2f} ({within.idxmax()}, where it is most)."
    return [StudyTable("imbalance", "Training samples by class", frame, "", (finding,))]


DATA = ("domainnet",)
TARGETS = (
    Target("royer2023/tuning", "Sweep of the single-dataset baseline", DATA, plan, tabulate, on(DATA, stated.CHOSEN)),
    Target("royer2023/figure-A", "Data imbalance by domain and class", DATA, no_runs, imbalance, (stated.COUNTED,)),
)
