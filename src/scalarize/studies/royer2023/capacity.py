"""Capacity: figures 2, 3, B, C and D. Two tasks, their weight from 0 to 1 by 0.1, at every depth and width."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

from scalarize.analysis import capacity, claims
from scalarize.analysis.statistics import in_words
from scalarize.analysis.study_tables import StudyTable
from scalarize.runs.request import train_request
from scalarize.studies import axes
from scalarize.studies.study import Context, PlannedRun, StudyResults, Target

INNER = tuple(round(0.1 * k, 1) for k in range(1, 10))
SEEDS = {"domainnet": 2, "taskonomy-tiny": 2}  # 3 elsewhere (section 3.3)
EVERYTHING = ("cifar-stl", "domainnet", "celeba-8", "taskonomy-tiny")
SHOWN = {"domainnet": ("real", "sketch"), "taskonomy-tiny": ("segmentation2d", "depth")}  # figures 3 and C


def plan(context: Context, one_pair: bool = False) -> list[PlannedRun]:
    """List every pair, size, weight and seed; the ends of the edge are the single-task models of the same size."""
    pairs = axes.pairs(context.workload, context.data.names)
    shown = SHOWN.get(context.workload.name)
    pairs = [shown] if one_pair and shown else context.budget.first(pairs[:1] if one_pair else pairs)
    sizes = axes.several_sizes(context)
    depths = context.budget.thin(list(dict.fromkeys(s.depth for s in sizes)))
    widths = context.budget.thin(list(dict.fromkeys(s.width for s in sizes)))
    inner = context.budget.thin(INNER, finer=2)  # the question is the order of weights
    planned = []
    for first, second in pairs:
        for size in (s for s in sizes if s.depth in depths and s.width in widths):
            problem = axes.with_settings(context.problem, size.settings, tasks=(first, second))
            for p in (0.0, *inner, 1.0):
                for seed in context.seeds_of(SEEDS.get(context.workload.name, 3)):
                    if p in (0.0, 1.0):
                        source: dict[str, Any] = {"single": first if p else second, "method": "uniform"}
                    else:
                        source = {"weights": {first: p, second: round(1 - p, 1)}}
                    request = train_request(problem, seed=seed, read_train=True, **source)
                    labels: dict[str, Any] = {
                        "pair": f"{first}|{second}",
                        "first": first,
                        "second": second,
                        "size": size.name,
                    }
                    labels |= {"depth": str(size.depth), "width": size.width, "p": p, "seed": seed}
                    name = f"pair {first} {second} {size.name.replace(',', '')} p {p:g} seed {seed}"
                    planned.append(PlannedRun(name, request, labels))
    return planned


def one_pair(context: Context) -> list[PlannedRun]:
    """List as :func:`plan` does, for the pair that the paper's figure shows (the first one on other data)."""
    return plan(context, one_pair=True)


def tabulate(found: StudyResults, *wanted: str) -> list[StudyTable]:
    """Return the tables asked for: gains, trade-off, grid, agreement, transfer, discrepancy, claims."""
    table = capacity.points(found.results)
    made: dict[str, Callable[[pd.DataFrame], StudyTable]] = {
        "gains": _gains,
        "trade-off": lambda t: _trade_off(t, "trade-off"),
        "grid": lambda t: _trade_off(t, "trade-off-grid"),
        "agreement": _agreement,
        "transfer": _transfer,
        "discrepancy": _discrepancy,
        "claims": _claims,
    }
    return [made[name](table) for name in wanted]


def _gains(table: pd.DataFrame) -> StudyTable:
    found = capacity.gains(table)
    slope = capacity.trend(found)
    findings = (
        f"C1: when the parameters double, the average gain over single-task models changes by {in_words(slope)}; "
        f"smallest model {in_words(capacity.level(found, False))}, largest {in_words(capacity.level(found, True))}.",
    )
    note = (
        "p* is the weight of the first task with the best validation average (the paper chooses on test); gains are "
        "test scores at p* minus those of single-task models of the same size, positive is better."
    )
    return StudyTable("gains", "Gain over single-task models by size", capacity.heat(found), note, findings)


def _trade_off(table: pd.DataFrame, kind: str) -> StudyTable:
    columns = ["first_test", "second_test", "base_first_test", "base_second_test"]
    means = table.groupby(["pair", "size", "parameters", "p"], sort=False)[columns].mean().reset_index()
    beats = (means["first_test"] > means["base_first_test"]) & (means["second_test"] > means["base_second_test"])
    findings = (f"{int(beats.sum())} of {len(means)} weights and sizes beat both single-task models.",)
    return StudyTable(kind, "Trade-off over the weight", means.assign(beats_both=beats), "Means over seeds.", findings)


def _agreement(table: pd.DataFrame) -> StudyTable:
    rows = capacity.agreement(table)
    means = rows.groupby(["a", "b"], sort=False)["correlation"].mean().reset_index()
    over, matters = capacity.over_seeds(rows.dropna(), "correlation"), capacity.spread(table)
    findings = (
        f"C2: rank correlation of the weights' test averages between two sizes: mean {in_words(over)} over pairs and "
        f"sizes; best minus worst weight: {in_words(matters)}.",
    )
    return StudyTable("agreement", "Agreement of sizes on the order of weights", means, "Spearman, per seed.", findings)


def _transfer(table: pd.DataFrame) -> StudyTable:
    rows = capacity.transfer(table)
    moved, own = capacity.over_seeds(rows, "gain_transferred"), capacity.over_seeds(rows, "gain_own")
    findings = (
        f"C2: the smallest model's best weight, used at the larger sizes, gains {in_words(moved)} over the even "
        f"weight; their own best weights gain {in_words(own)}.",
    )
    note = "Weights chosen on validation, gains in test average over the even weight."
    return StudyTable("transfer", "Weights chosen on the smallest model", rows, note, findings)


def _discrepancy(table: pd.DataFrame) -> StudyTable:
    found = capacity.gains(table)
    test, train = capacity.over_seeds(found, "gain_average"), capacity.over_seeds(found, "train_gain_average")
    findings = (f"Average gain over single-task models on test {in_words(test)}, on training data {in_words(train)}.",)
    return StudyTable("discrepancy", "Gain on training and on test data", found, "At p*, a point a seed.", findings)


def _claims(table: pd.DataFrame) -> StudyTable:
    """Test C1: gains grow with size. C2: the weights matter, sizes agree on them, a small model's serve larger ones."""
    rows = capacity.transfer(table)
    agree = capacity.over_seeds(capacity.agreement(table).dropna(), "correlation")
    gained = {key: capacity.over_seeds(rows, key) for key in ("gain_own", "gain_transferred")}
    parts = {
        ("C1", ""): {"average gain, change when the parameters double": capacity.trend(capacity.gains(table)).at},
        ("C2", ""): {
            "best weight on validation minus even weight, larger models": gained["gain_own"].at,
            "rank correlation of weights between sizes": agree.at,
            "smallest model's best weight minus even weight, larger models": gained["gain_transferred"].at,
        },
    }
    return claims.table(parts)


def _tables(*wanted: str) -> Callable[[StudyResults], list[StudyTable]]:
    return lambda found: tabulate(found, *wanted)


_FIGURE_2 = ("gains", "agreement", "transfer", "claims")
TARGETS = (
    Target("royer2023/figure-2", "Gains over single-task models by size", EVERYTHING, plan, _tables(*_FIGURE_2)),
    Target(
        "royer2023/figure-3",
        "Trade-off over the weight, at every size",
        ("domainnet", "taskonomy-tiny"),
        one_pair,
        _tables("trade-off", *_FIGURE_2),
    ),
    Target(
        "royer2023/figure-B", "Trade-off at each size (paper: CIFAR and STL)", ("cifar-stl",), one_pair, _tables("grid")
    ),
    Target(
        "royer2023/figure-C",
        "Trade-off at each size (paper: two dense tasks)",
        ("taskonomy-tiny",),
        one_pair,
        _tables("grid"),
    ),
    Target("royer2023/figure-D", "Gains on training and test data", ("cifar-stl",), one_pair, _tables("discrepancy")),
)
