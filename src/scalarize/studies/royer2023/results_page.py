"""The results page of Royer et al. 2023: claims C1 to C4 on the RAND health insurance experiment.

Verdicts come from intervals by the rule of ``scalarize.analysis.claims``; none is written by hand.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from scalarize.analysis import claims
from scalarize.report import markdown
from scalarize.studies.results_page import ResultsPage, Trial

# Batches of 1024 in place of 256: a quarter of the recipe's steps, at twice its learning rate.
TASKS = {"batch_size": 1024, "optimizer.lr": 0.006}
ONE_SIZE = {"model.widths": [32, 32]}
TRIALS = (
    Trial(
        "table-2",
        "rand-hie",
        "C4: do searched weights beat even weights and methods? Seven tasks",
        minutes=20,
        budget="0.5",
        epochs=12,
        settings=TASKS | ONE_SIZE,
    ),
    Trial(
        "figure-5",
        "rand-hie-sites",
        "C3: what changes the share of conflicting gradients?",
        minutes=10,
        budget="tiny",
        epochs=3,
    ),
    Trial(
        "figure-3",
        "rand-hie",
        "C1, C2: capacity and weights, two tasks whose losses lie far apart",
        minutes=7,
        budget="tiny",
        epochs=12,
        tasks=("any-mental", "visits-other"),
        settings=TASKS,
    ),
    Trial(
        "figure-4",
        "rand-hie-sites",
        "C3: conflicts over training, with and without PCGrad",
        minutes=6,
        budget="tiny",
        epochs=3,
    ),
    Trial(
        "table-1",
        "rand-hie-sites",
        "C4: do searched weights beat even weights and methods? Six domains",
        minutes=12,
        budget="0.5",
        epochs=12,
        settings=ONE_SIZE,
    ),
    Trial(
        "figure-2",
        "rand-hie-sites",
        "C1, C2: capacity and weights, two pairs of domains",
        minutes=12,
        budget="tiny",
        epochs=12,
    ),
)
SHOWN = {
    "claims": ["claim", "part", "mean", "low", "high", "upper", "units", "verdict"],
    "gains": ["pair", "size", "parameters", "p_star", "gain_first", "gain_second", "gain_average"],
    "conflict-axes": ["axis", "values", "variance x 1e4", "low", "high", "paper, domainnet", "paper, taskonomy"],
}

HEAD = f"""\
# Royer et al. 2023: claims C1 to C4

Written by `scalarize reproduce royer2023 --page results/royer2023.md`; every number is that of the command above it.
The data are the RAND health insurance experiment: `rand-hie`, seven tasks whose losses lie two orders of magnitude
apart, and `rand-hie-sites`, one of them (outpatient spending) on six sites as domains; perceptrons of one to three
layers. Far smaller than the paper's benchmarks: see *Scaled*. Metrics on the test split: areas under ROC curves and
(1 + Spearman) / 2, higher is better; weights, rates and epochs are chosen on validation. Intervals: 95 %, Student's t
over seeds (Welch's between searches and methods), on one split of the data. C1 and C2 are figures in the paper,
without numbers to set beside ours.

- **C1**: gains over single-task models grow with the model.
- **C2**: tuning the weights matters; sizes agree on their order, so that a small model's weights serve a larger one;
  *rarely even*: the best weights are rarely the even ones, and better than these.
- **C3**: learning rate and batch size change the share of conflicting gradients more than the model's size and the
  weights do; *layers*: so do the layers of one model; *towards the end*: it grows over a training, with and without
  PCGrad; *low correlation with performance*: the share of conflicts hardly tells how well a model ends.
- **generalization**: joint training gains on test data, and less on the data that it was trained on.
- **C4**: weights that PBT (PB2) found beat even weights and each method; *beyond the paper*: and as many trainings with
  weights drawn at random, and the weights around which the search began.

{textwrap.fill(claims.RULE, 118)}
Of several data sets together: the verdict that all decided ones share; for *supported* all must be decided."""


def document(found: Sequence[Mapping[str, Any]]) -> str:
    """The page: a verdict a claim, the claims' parts by data set, time, then each trial."""
    tried = on_trial(found)
    lines = [*HEAD.splitlines(), "", "| claim | data | runs | seeds | verdict |", "| --- | --- | --- | --- | --- |"]
    for claim, own in sorted(tried.groupby("claim", sort=False), key=lambda item: str(item[0])):
        each = own.drop_duplicates(["data", "where"])
        for _, row in each.iterrows():
            lines.append(f"| {claim} | {row['data']} | {row['runs']} | {row['units']} | {row['verdict']} |")
        if len(each) > 1:
            runs, both = each["runs"].sum(), claims.together(each["verdict"].tolist())
            lines.append(f"| **{claim}** | together | {runs} | | **{both}** |")
    lines += ["", "Machine time, as recorded by the trainings and searches (one core, shared with other work):", ""]
    lines += ["| trial | data | allocated, minutes | trainings and searches, minutes |", "| --- | --- | --- | --- |"]
    for result in found:
        spent = result["seconds_runs"] / 60
        lines.append(f"| {result['target']} | {result['data']} | {result['minutes']} | {spent:.1f} |")
    total, spent = sum(r["minutes"] for r in found), sum(r["seconds_runs"] for r in found) / 60
    lines.append(f"| together | | {total} | {spent:.1f} |")
    there = {(result["target"], result["data"]) for result in found}
    absent = [t for t in TRIALS if (f"royer2023/{t.target}", t.data) not in there]
    if absent:
        lines += ["", "Planned and not run: " + "; ".join(f"{t.target} on {t.data}" for t in absent) + "."]
    return markdown.document(lines, sorted(found, key=lambda result: str(result["question"])), choose)


def on_trial(found: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """All parts of all claims, with the data and the runs behind them."""
    frames = [pd.DataFrame(columns=["claim", "where", "units", "verdict", "data", "runs"])]
    frames += [
        pd.read_csv(Path(result["out"]) / entry["file"]).assign(data=result["data"], runs=result["runs"])
        for result in found
        for entry in result["tables"]
        if entry["kind"] == "claims"
    ]
    return pd.concat(frames, ignore_index=True)


def choose(kind: str, frame: pd.DataFrame) -> pd.DataFrame | None:
    """The rows and columns that matter; a comparison also as differences to even weights, ours and the paper's."""
    if "pair" in frame:
        frame = frame.assign(pair=frame["pair"].str.replace("|", " + ", regex=False))  # which would end a cell
    if kind != "comparison":
        return frame[[c for c in SHOWN[kind] if c in frame]] if kind in SHOWN else None
    frame = frame[frame["task"] == "average"].copy()
    frame[["mean", "low", "high"]] *= 100
    uniform = frame[frame["method"] == "uniform"].iloc[0]
    frame["over uniform"] = frame["mean"] - uniform["mean"]
    frame["paper, over uniform"] = frame["paper"] - uniform["paper"]
    shown = ["method", "mean", "low", "high", "over uniform", "paper", "paper, over uniform"]
    return frame[[*shown, "rate", "seeds", "searches", "trainings"]].sort_values("mean", ascending=False)


PAGE = ResultsPage("royer2023", TRIALS, document)
