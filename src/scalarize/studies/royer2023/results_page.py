"""The results page of Royer et al. 2023: claims C1 to C4 on data that can be installed.

Verdicts come from intervals (``studies.page_parts``); none is written by hand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from scalarize.report import markdown
from scalarize.studies import page_parts
from scalarize.studies.results_page import ResultsPage, Trial

# Batches of 1024 in place of 256: a quarter of the recipe's steps, at a larger learning rate.
TASKS = {"batch_size": 1024, "optimizer.lr": 0.018}
ONE_SIZE = {"model.widths": [32, 32]}
# Half the side, and no augmentation: what a core can train in minutes.
EMOJI = {"data.side": 16, "data.randaugment": False}
PAIRS = {"data.share": 0.02}
FAMILIES: dict[str, dict[str, Any]] = {"ResNet": {}, "ViT": {"model.family": "vit"}}
C1 = "C1, C2: capacity and weights, {}"
C3 = "C3: what changes the share of conflicting gradients? {}"
C4 = "C4: do searched weights beat even weights and methods? {}"


def _pictures(workload: str, target: str, settings: Mapping[str, Any], minutes: Sequence[int]) -> tuple[Trial, ...]:
    """Claims C1 to C3 with four sizes of each family, 26-fold and more from the least to the most parameters."""
    found = []
    for (model, own), (capacity, conflicts) in zip(FAMILIES.items(), (minutes[:2], minutes[2:]), strict=True):
        shared: dict[str, Any] = {"budget": "tiny", "settings": {**settings, **own}, "model": model}
        data = f"{workload}, {model}s"
        found.append(Trial(target, workload, C1.format(data), epochs=8, minutes=capacity, **shared))
        found.append(Trial("figure-5", workload, C3.format(data), epochs=1, minutes=conflicts, **shared))
    return tuple(found)


TRIALS = (
    Trial(
        "table-2",
        "rand-hie",
        C4.format("Seven tasks"),
        minutes=12,
        budget="full",
        epochs=33,
        seeds=5,
        settings=TASKS | ONE_SIZE,
    ),
    Trial(
        "figure-3",
        "rand-hie",
        C1.format("two tasks whose losses lie far apart"),
        minutes=7,
        budget="full",
        epochs=12,
        seeds=5,
        tasks=("any-mental", "visits-other"),
        settings=TASKS,
    ),
    Trial(
        "figure-4",
        "rand-hie-sites",
        "C3: conflicts over training, with and without PCGrad",
        minutes=7,
        budget="tiny",
        epochs=12,
        seeds=5,
    ),
    Trial("figure-5", "rand-hie-sites", C3.format("Six domains"), minutes=5, budget="tiny", epochs=4, seeds=5),
    Trial(
        "figure-2",
        "rand-hie-sites",
        C1.format("two pairs of domains"),
        minutes=6,
        budget="small",
        epochs=12,
        seeds=5,
        tasks=("site-1", "site-2", "site-3"),
    ),
    Trial(
        "table-1",
        "rand-hie-sites",
        C4.format("Six domains"),
        minutes=10,
        budget="full",
        epochs=55,
        seeds=5,
        settings=ONE_SIZE,
    ),
    *_pictures("emoji", "figure-2", EMOJI, (12, 5, 14, 6)),
    *_pictures("multi-fashion-backbone", "figure-3", PAIRS, (12, 5, 15, 6)),
)
SHOWN = {
    "claims": page_parts.CLAIMS,
    "gains": ["pair", "size", "parameters", "p_star", "gain_first", "gain_second", "gain_average"],
    "conflict-axes": ["axis", "values", "variance x 1e4", "low", "high", "paper, domainnet", "paper, taskonomy"],
}

HEAD = """\
# Royer et al. 2023: claims C1 to C4

Written by `scalarize reproduce royer2023 --page results/royer2023.md`; every number is that of the command above it.
The pictures want `scalarize data get emoji` and `scalarize data get multi-fashion`.
The data are the RAND health insurance experiment: `rand-hie`, seven tasks whose losses lie two orders of magnitude
apart, and `rand-hie-sites`, one of them (outpatient spending) on six sites as domains, with perceptrons of one to three
layers; then emoji as two vendors draw them, and pairs of overlaid pictures (`multi-fashion-backbone`), with residual
networks and vision transformers of four sizes each. Far smaller than the paper's benchmarks: see *Scaled*. Metrics on
the test split: accuracies, areas under ROC curves and (1 + Spearman) / 2, higher is better; weights, rates and epochs
are chosen on validation. Weights of pairs lie on a logarithmic grid around the even ones. Intervals: 95 %, Student's t
over seeds (Welch's between searches and methods), on one split of the data. C1 and C2 are figures in the paper,
without numbers to set beside ours.

- **C1**: gains over single-task models grow with the model.
- **C2**: tuning the weights matters; sizes agree on their order, so that a small model's weights serve a larger one;
  *rarely even*: the best weights are rarely the even ones, and better than these.
- **C3**: learning rate and batch size change the share of conflicting gradients more than the model's size and the
  weights do; *layers*: so do the layers of one model; *towards the end*: it grows over a training, with and without
  PCGrad, on the line through all epochs (8 at least); *low correlation with performance*: the share of conflicts hardly
  tells how well a model ends.
- **generalization**: joint training gains on test data, and less on the data that it was trained on.
- **C4**: weights that PBT (PB2) found beat even weights and each method; *beyond the paper*: and as many trainings with
  weights drawn at random, and the weights around which the search began."""


def document(found: Sequence[Mapping[str, Any]]) -> str:
    """The page: a verdict a claim, time, what was left out, then each trial."""
    lines = [*HEAD.splitlines(), "", *page_parts.summary("royer2023", TRIALS, found)]
    return markdown.document(lines, sorted(found, key=lambda result: str(result["question"])), choose)


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
