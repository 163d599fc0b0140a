"""Parts that the results pages of all papers share: verdicts at the top, machine time, and what was left out.

Verdicts come from intervals by the rule of ``scalarize.analysis.claims``; none is written by hand.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from scalarize.analysis import claims

CLAIMS = ["claim", "where", "part", "mean", "low", "high", "upper", "units", "found", "verdict"]
RULE = (
    f"{textwrap.fill(claims.RULE, 118)}\n"
    "Of several data sets together: the verdict that all decided ones share; for *supported* all must be decided."
)
NAMED = 4  # parts that stand beside a verdict, the others are counted
TRIED = ["claim", "where", "part", "mean", "low", "high", "units", "found", "verdict", "why", "data", "runs"]


def on_trial(found: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return all parts of all claims, with the data and the runs behind them.

    Args:
        found: results of studies with ``data``.
    """
    frames = [pd.DataFrame(columns=TRIED)]
    frames += [
        pd.read_csv(Path(result["out"]) / entry["file"]).assign(data=result["data"], runs=result["runs"])
        for result in found
        for entry in result["tables"]
        if entry["kind"] == "claims"
    ]
    frame = pd.concat([own for own in frames if len(own)] or frames, ignore_index=True)
    # A column of nothing is read as one of numbers.
    return frame.assign(**{name: frame[name].astype(object).fillna("") for name in ("where", "why")})


def verdicts(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the table of verdicts: a row a claim and data set, and one of all data sets where there are several.

    Args:
        found: results of studies with ``data``.
    """
    tried = on_trial(found)
    lines = ["| claim | data | runs | seeds | verdict | why |", "| --- | --- | --- | --- | --- | --- |"]
    for claim, own in sorted(tried.groupby("claim", sort=False), key=lambda item: str(item[0])):
        judged = []
        for (data, where), parts in own.groupby(["data", "where"], sort=False):
            head = parts.iloc[0]
            place = f"{data}, {where}" if where else str(data)
            seeds = f"{head['units']:g}"
            lines.append(f"| {claim} | {place} | {head['runs']} | {seeds} | {head['verdict']} | {because(parts)} |")
            judged.append(str(head["verdict"]))
        if len(judged) > 1:
            lines.append(f"| **{claim}** | together | | | **{claims.together(judged)}** | |")
    return lines


def because(parts: pd.DataFrame) -> str:
    """Say which parts of a claim speak against it, with their intervals, or how many hold; and what forbids a verdict.

    Args:
        parts: of one claim on one data set.
    """
    against = parts[parts["found"] == claims.CONTRARY]
    holding = int((parts["found"] == claims.HOLDS).sum())
    said = [f"{holding} of {len(parts)} parts hold"]
    if len(against):
        shown = [f"{r['part']} {r['mean']:.3g} [{r['low']:.3g}, {r['high']:.3g}]" for _, r in against.iterrows()]
        more = f" and {len(shown) - NAMED} more" if len(shown) > NAMED else ""
        said.append(f"contrary found: {'; '.join(shown[:NAMED])}{more}")
    said += [str(why) for why in parts["why"].unique() if why]
    return "; ".join(said).replace("|", "/")  # which would end a cell


def machine_time(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the table of machine time: allocated before anything was run, and used; shared trainings count in each.

    Args:
        found: results of studies with ``data`` and ``minutes``.
    """
    said = "Machine time by the clock, as recorded by the trainings and searches (one core, shared with other work);"
    lines = [said, "trainings that two trials share count in both:", ""]
    lines += ["| trial | data | allocated, minutes | trainings and searches, minutes |", "| --- | --- | --- | --- |"]
    for result in found:
        allocated = "" if result["minutes"] is None else result["minutes"]
        lines.append(f"| {result['target']} | {result['data']} | {allocated} | {result['seconds_runs'] / 60:.1f} |")
    total, spent = sum(r["minutes"] or 0 for r in found), sum(r["seconds_runs"] for r in found) / 60
    return [*lines, f"| together | | {total} | {spent:.1f} |"]


def left_out(paper: str, trials: Sequence[Any], found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say which trials of the plan, with their minutes, were not run.

    Args:
        paper: its name.
        trials: the plan, :class:`scalarize.studies.results_page.Trial`.
        found: results of studies with ``data``.
    """
    there = {(result["target"], result["data"]) for result in found}
    plan = {(f"{paper}/{t.target}", t.data): t for t in trials if not t.optional}
    absent = [t for key, t in plan.items() if key not in there]
    if not absent or not there & set(plan):  # a page of data that were asked for has no other plan
        return []
    named = "; ".join(f"{t.target} on {t.data} ({t.minutes} minutes)" for t in absent)
    return ["", f"Planned and not run: {named}."]


def summary(paper: str, trials: Sequence[Any], found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return verdicts, machine time and what was left out, for below the head of a page.

    Args:
        paper: its name.
        trials: the plan.
        found: results of studies with ``data`` and ``minutes``.
    """
    return [*RULE.splitlines(), "", *verdicts(found), "", *machine_time(found), *left_out(paper, trials, found)]
