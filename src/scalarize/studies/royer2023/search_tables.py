"""Searches against methods: tables 1, 2, B, C and D.

Every row is trained at three learning rates; the rate is chosen by the score of ``scoring.py``, never on test (the
paper: "the best metric is reported"). For rows of searches, each search's policy is retrained on the whole training
set; the unit is the search. Rows beyond the paper's are ``random-search`` with as many trainings as the first search,
and ``inverse-constant``, the weights around which searches begin.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from scalarize.analysis import claims, comparison
from scalarize.analysis.study_tables import StudyTable
from scalarize.runs.comparison_records import choose_rates
from scalarize.studies.royer2023 import reported, stated
from scalarize.studies.royer2023.search_plan import (
    BALANCED,
    METHODS,
    TABLE_1,
    TABLE_2,
    TABLE_B,
    TABLE_C,
    TABLE_D,
    TableProtocol,
    hardly_acts,
    own_data,
    plan,
    settings_in_words,
)
from scalarize.studies.scoring import SHARE, chosen_on
from scalarize.studies.study import Context, PlannedRun, StudyResults, Target
from scalarize.weights.policy import Policy


def run_records(found: StudyResults) -> list[dict[str, Any]]:
    """Return the runs as ``analysis.comparison`` reads them."""
    costs = {(r["row"], r["size"], r["group"]): r["result"]["trainings"] for r in found.searches.to_dict("records")}
    table = []
    for _, own in found.results.groupby("run", sort=False):
        head = own.iloc[0]
        group = None if pd.isna(head["group"]) else int(head["group"])
        table.append(
            {
                "method": head["row"],
                "size": head["size"],
                "group": group,
                "seed": int(head["seed"]),
                "rate": float(head["rate"]),
                "test": dict(zip(own["task"], own["test"], strict=True)),
                "average": float(own["test"].mean()),
                # Rates are chosen by score: higher is better, whatever the metric.
                "validation": float((own["sign"] * own["validation"]).mean()),
                "trainings": 1,
                "directories": [head["run"]],
                "search_trainings": costs.get((head["row"], head["size"], group), 0),
            }
        )
    return table


def tabulate(found: StudyResults, protocol: TableProtocol) -> list[StudyTable]:
    """Return one table per size: mean and interval of every row, the paper's average, its trials and trainings."""
    everything = run_records(found)
    lower = bool((found.results["sign"] < 0).all())
    tables: list[StudyTable] = []
    trials: dict[claims.Key, dict[str, claims.IntervalAt]] = {}
    flaws: dict[claims.Key, list[claims.Flaw]] = {}
    sizes = list(dict.fromkeys(r["size"] for r in everything))
    for size in sizes:
        own = [r for r in everything if r["size"] == size]
        kept = choose_rates(own)
        paper, beside = paper_beside(protocol.table, size, sizes)
        focus = next(iter(protocol.searches))
        verdicts = comparison.compare(kept, focus, lower)
        against = [v.sentence for v in verdicts if focus in (v.first, v.second)]
        title = f"Search against methods, {size}"
        note = f"Learning rate of each row chosen among {len({r['rate'] for r in own})} on {chosen_on(found.context)}."
        note += f" The paper's column: {protocol.workload}, {paper}. {settings_in_words(found.context, protocol)}"
        frame = comparison_frame(kept, own, beside)
        said = [f"{size}: {s}" for s in against]
        said += [steady(found.searches, found.policies, search, size) for search in protocol.searches]
        tables.append(StudyTable("comparison", title, frame, note, (*said, edges(kept, own))))
        own_trials = _trials(kept, list(protocol.searches), size, lower)
        trials |= own_trials
        flaws |= {key: _flaws(found, protocol, key, list(parts), outer(kept, own)) for key, parts in own_trials.items()}
    return [*tables, claims.table(trials, flaws)]


def _flaws(
    found: StudyResults, protocol: TableProtocol, key: claims.Key, parts: Sequence[str], at_edge: Sequence[str]
) -> list[claims.Flaw]:
    """Return what forbids a verdict on a claim of C4: a population that hardly acts, learning rates at the edge."""
    claim, size = key
    row = claim.split(", ")[1]
    flaws = []
    if not own_data(found.context, protocol) and len(found.searches):
        own = found.searches[(found.searches["row"] == row) & (found.searches["size"] == size)]
        members = min((round(r["trainings"] / SHARE) for r in own["result"]), default=0)
        decisions = min((r["generations"] - 1 for r in own["result"]), default=0)
        why = hardly_acts(row, members, decisions)
        flaws += [claims.Flaw(why, both=True)] if why else []
    named = [name for name in at_edge if any(name in part.split(" over ") for part in parts)]
    if named:
        flaws.append(claims.Flaw(f"the best learning rate of {', '.join(named)} is the last that was tried"))
    return flaws


def steady(searches: pd.DataFrame, policies: Mapping[str, Policy], row: str, size: str) -> str:
    """Count the policies found by ``row``'s searches that never change: these were drawn and not developed."""
    own = [policies[run] for run in searches.loc[(searches["row"] == row) & (searches["size"] == size), "run"]]
    kept = sum(len(policy.segments) == 1 for policy in own)
    return f"Of {len(own)} policies of {row}, {kept} keep their first weights to the end."


def outer(kept: Sequence[dict[str, Any]], everything: Sequence[dict[str, Any]]) -> list[str]:
    """Return the rows that chose the largest or the smallest of several rates tried."""
    tried = {r["rate"] for r in everything}
    chosen = {r["method"]: r["rate"] for r in kept}
    return [row for row, rate in chosen.items() if len(tried) > 1 and rate in (max(tried), min(tried))]


def edges(kept: Sequence[dict[str, Any]], everything: Sequence[dict[str, Any]]) -> str:
    """Count the rows that chose the largest or the smallest rate tried: these may need others."""
    chosen = {r["method"]: r["rate"] for r in kept}
    tried = [r["rate"] for r in everything]
    most, least = (sum(rate == edge for rate in chosen.values()) for edge in (max(tried), min(tried)))
    return f"Of {len(chosen)} rows, {most} chose the largest learning rate tried, {least} the smallest."


def paper_beside(table: str, size: str, sizes: Sequence[str]) -> tuple[str, dict[str, float]]:
    """Return the paper's size to set beside ours, and its averages.

    It is the same size if the paper has it, else the smallest beside the smallest of several, and the largest beside
    the others.
    """
    known = reported.AVERAGES[table]
    first, *_, last = known
    paper = size if size in known else first if len(sizes) > 1 and size == sizes[0] else last
    return paper, known[paper]


def _trials(
    kept: Sequence[dict[str, Any]], searches: Sequence[str], size: str, lower: bool
) -> dict[claims.Key, dict[str, claims.IntervalAt]]:
    """Test C4 for each search: over even weights and each of the paper's methods.

    Beyond the paper, also over as many trainings at random and over the weights that searches begin around.
    """
    values = {row: comparison.units(kept, row) for row in comparison.methods_of(kept)}

    def over(search: str, other: str) -> claims.IntervalAt:
        first, second = (other, search) if lower else (search, other)
        return lambda confidence: comparison.difference(values[first], values[second], confidence)

    beyond = ("random-search", BALANCED)
    return {
        (claim, size): {f"{search} over {row}": over(search, row) for row in rows}
        for search in searches
        for claim, rows in ((f"C4, {search}", METHODS), (f"C4, {search}, beyond the paper", beyond))
    }


def comparison_frame(
    kept: Sequence[dict[str, Any]], everything: Sequence[dict[str, Any]], beside: dict[str, float]
) -> pd.DataFrame:
    """Return rows of method, task (``average`` first), mean, low, high, seeds, searches, rate, trials, trainings,
    paper.
    """
    rows = []
    for row in comparison.rows(kept):
        method = row["method"]
        own = [r for r in everything if r["method"] == method]
        shown = {"seeds": row["seeds"], "searches": row["searches"] or 0, "trainings": row["trainings"]}
        shown |= {"rate": next(r["rate"] for r in kept if r["method"] == method)}
        shown |= {"tuning trials": len({r["rate"] for r in own})}
        for task, cell in {"average": row["average"], **row["tasks"]}.items():
            numbers = {k: cell[k] for k in ("mean", "low", "high", "deviation")}
            paper = beside.get(method) if task == "average" else None
            rows.append({"method": method, "task": task, **numbers, **shown, "paper": paper})
    return pd.DataFrame(rows)


def _target(protocol: TableProtocol, title: str) -> Target:
    make: Callable[[Context], list[PlannedRun]] = lambda context: plan(context, protocol)  # noqa: E731
    show: Callable[[StudyResults], list[StudyTable]] = lambda found: tabulate(found, protocol)  # noqa: E731
    said = stated.on((protocol.workload,), stated.CHOSEN, stated.RATES, stated.METHODS, stated.SEARCHED, stated.BESIDE)
    return Target(f"royer2023/{protocol.table}", title, (protocol.workload,), make, show, said)


TARGETS = (
    _target(TABLE_1, "Search, methods, even weights (paper: six domains, ResNet-26)"),
    _target(TABLE_2, "Search, methods, even weights (paper: eight tasks, full width)"),
    _target(TABLE_B, "As table 1 (paper: ResNet-50)"),
    _target(TABLE_C, "As table 2 (paper: 6 layers, three widths)"),
    _target(TABLE_D, "As table 2 (paper: 9 layers, three widths)"),
)
