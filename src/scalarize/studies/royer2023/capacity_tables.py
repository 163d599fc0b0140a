"""The tables of figures 2, 3, B, C and D, and what they say of claims C1, C2, and of two that the paper makes besides:
joint training primarily improves generalization, and the best weights are rarely the even ones (section 4).
"""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from scalarize.analysis import capacity, claims
from scalarize.analysis.statistics import in_words
from scalarize.analysis.study_tables import StudyTable
from scalarize.studies.scoring import chosen_on
from scalarize.studies.study import StudyResults


def tabulate(found: StudyResults, *wanted: str) -> list[StudyTable]:
    """Return the tables asked for: gains, trade-off, grid, agreement, transfer, discrepancy, claims, generalization."""
    table, where = capacity.points(found.results), chosen_on(found.context)
    made: dict[str, Callable[[], StudyTable]] = {
        "gains": lambda: _gains(table, where),
        "trade-off": lambda: _trade_off(table, "trade-off", where),
        "grid": lambda: _trade_off(table, "trade-off-grid", where),
        "agreement": lambda: _agreement(table),
        "transfer": lambda: _transfer(table, where),
        "discrepancy": lambda: _discrepancy(table, where),
        "claims": lambda: _tried(table, _capacity_claims(table) | _generalization(table)),
        "generalization": lambda: _tried(table, _generalization(table)),
    }
    return [made[name]() for name in wanted]


def _gains(table: pd.DataFrame, where: str) -> StudyTable:
    found = capacity.gains(table)
    slope = capacity.trend(found)
    findings = (
        f"C1: when the parameters double, the average gain over single-task models changes by {in_words(slope)}; "
        f"smallest model {in_words(capacity.level(found, False))}, largest {in_words(capacity.level(found, True))}.",
    )
    note = (
        f"p* is the weight of the first task with the best average on {where} (the paper chooses on test); gains are "
        "test scores at p* minus those of single-task models of the same size, positive is better."
    )
    return StudyTable("gains", "Gain over single-task models by size", capacity.heat(found), note, findings)


def _trade_off(table: pd.DataFrame, kind: str, where: str) -> StudyTable:
    columns = ["first_test", "second_test", "base_first_test", "base_second_test"]
    means = table.groupby(["pair", "size", "parameters", "p"], sort=False)[columns].mean().reset_index()
    beats = (means["first_test"] > means["base_first_test"]) & (means["second_test"] > means["base_second_test"])
    stars = capacity.best_weight(table)
    best = "; ".join(f"{size}: {p:g}" for size, p in zip(stars["size"], stars["p_star"], strict=True))
    findings = (
        f"{int(beats.sum())} of {len(means)} weights and sizes beat both single-task models.",
        f"Best weight of the first task on {where}: {best}.",
    )
    return StudyTable(kind, "Trade-off over the weight", means.assign(beats_both=beats), "Means over seeds.", findings)


def _agreement(table: pd.DataFrame) -> StudyTable:
    rows = capacity.agreement(table)
    means = rows.groupby(["a", "b"], sort=False)["correlation"].mean().reset_index()
    over, matters = capacity.over_seeds(rows.dropna(), "correlation"), capacity.spread(table)
    findings = (
        f"C2: rank correlation of the weights' test averages between two sizes: mean {in_words(over)} over pairs and "
        f"sizes; best minus worst weight: {in_words(matters)}.",
    )
    note = "Spearman, per seed; empty where all weights of a size do equally well."
    return StudyTable("agreement", "Agreement of sizes on the order of weights", means, note, findings)


def _transfer(table: pd.DataFrame, where: str) -> StudyTable:
    rows = capacity.transfer(table)
    moved, own = capacity.over_seeds(rows, "gain_transferred"), capacity.over_seeds(rows, "gain_own")
    findings = (
        f"C2: the smallest model's best weight, used at the larger sizes, gains {in_words(moved)} over the even "
        f"weight; their own best weights gain {in_words(own)}.",
    )
    note = f"Weights chosen on {where}, gains in test average over the even weight."
    return StudyTable("transfer", "Weights chosen on the smallest model", rows, note, findings)


def _discrepancy(table: pd.DataFrame, where: str) -> StudyTable:
    found = capacity.gains(table)
    test, train = capacity.over_seeds(found, "gain_average"), capacity.over_seeds(found, "train_gain_average")
    findings = (f"Average gain over single-task models on test {in_words(test)}, on training data {in_words(train)}.",)
    note = f"At p*, the best weight on {where}; a point a seed."
    return StudyTable("discrepancy", "Gain on training and on test data", found, note, findings)


Claims = dict[tuple[str, str], dict[str, claims.IntervalAt]]


def _tried(table: pd.DataFrame, parts: Claims) -> StudyTable:
    """Put claims on trial, all of which rest on the best weight of a pair and size."""
    edge = capacity.at_the_edge(table)
    return claims.table(parts, {key: [claims.Flaw(edge)] for key in parts} if edge else None)


def _capacity_claims(table: pd.DataFrame) -> Claims:
    """C1: gains grow with size. C2: the weights matter, sizes agree on them, a small model's serve larger ones.

    The best weights are rarely the even ones: only one weight of the sweep is even, so that chance alone makes the best
    another one; the second part asks if it is better, too.
    """
    rows = capacity.transfer(table)
    agree = capacity.over_seeds(capacity.agreement(table).dropna(), "correlation")
    gained = {key: capacity.over_seeds(rows, key) for key in ("gain_own", "gain_transferred")}
    chosen = capacity.not_even(table)
    others = capacity.over_seeds(chosen.assign(more=chosen["other"] - 0.5), "more")
    return {
        ("C1", ""): {"average gain, change when the parameters double": capacity.trend(capacity.gains(table)).at},
        ("C2", ""): {
            "best weight on validation minus even weight, larger models": gained["gain_own"].at,
            "rank correlation of weights between sizes": agree.at,
            "smallest model's best weight minus even weight, larger models": gained["gain_transferred"].at,
        },
        ("C2, rarely even", ""): {
            "share of pairs and sizes whose best weight is not the even one, minus one half": others.at,
            "best weight minus even weight, each seed's own choice, all models": capacity.over_seeds(chosen, "gain").at,
        },
    }


def _generalization(table: pd.DataFrame) -> Claims:
    """Appendix 2.2: joint training gains on test data, and less on the data that it was trained on."""
    found = capacity.gains(table)
    more = found.assign(more=found["gain_average"] - found["train_gain_average"])
    return {
        ("generalization", ""): {
            "average gain over single-task models on test": capacity.over_seeds(found, "gain_average").at,
            "that gain minus the gain on training data": capacity.over_seeds(more, "more").at,
        }
    }
