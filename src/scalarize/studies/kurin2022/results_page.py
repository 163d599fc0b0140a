"""The results page of Kurin et al. 2022: its supervised claims on stand-ins.

By default those on a table; `--workload multi-fashion` and `--workload rendered-scenes` run others, for hours (the
latter wants `scalarize data get rendered-scenes`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from scalarize.report import markdown
from scalarize.studies import page_parts
from scalarize.studies.results_page import ResultsPage, Trial

BEST = "Does any specialised optimiser beat unitary scalarization, each with its regularisation?"


def _trials(
    workload: str, questions: Mapping[str, tuple[str, int]], epochs: int, seeds: int, **more: Any
) -> tuple[Trial, ...]:
    """Trials by target, each with its question and its minutes."""
    return tuple(
        Trial(
            target,
            workload,
            f"{question} ({workload})",
            budget="small",
            epochs=epochs,
            seeds=seeds,
            methods=BESIDE.get(target, ()),
            minutes=minutes,
            **more,
        )
        for target, (question, minutes) in questions.items()
    )


# `imtl-l` weighs the losses and nothing else: where it does as well as a row, scales were the reason.
BESIDE = {"figure-2": ("imtl-l",)}
# CelebA's protocol on a table that a perceptron overfits in some twenty epochs; a dropout is our choice, the optimiser
# is the paper's.
TABLE = _trials(
    "rand-hie",
    {
        "figure-2": (BEST, 5),
        "figure-10": ("What regularisation changes, optimiser by optimiser", 9),
        "figure-5": ("Onset of overfitting without regularisation", 6),
        "figure-6": ("Norm of the summed gradient without regularisation", 6),
        "figure-12": ("GradDrop beside its sign-agnostic twin", 2),
    },
    epochs=40,
    seeds=5,
    settings={"model.dropout": 0.25, "optimizer.name": "adam"},
)
# At the paper's learning rate of 1e-2, some starts on these pictures never leave chance.
PICTURES = _trials(
    "multi-fashion",
    {"figure-1": (BEST, 60), "figure-7": ("Validation and training loss over epochs", 60)},
    epochs=20,
    seeds=3,
    settings={"data.share": 0.2, "optimizer.lr": 5e-3},
    optional=True,
)
SCENES = _trials(
    "rendered-scenes",
    {"figure-3": ("Heterogeneous tasks: each metric, and Delta_m over single-task models", 240)},
    epochs=4,
    seeds=3,
    settings={"batch_size": 32},
    optional=True,
)

TRIALS = (*TABLE, *PICTURES, *SCENES)
HEAD = """\
# Kurin et al. 2022: specialised optimisers against plain training with regularisation

Written by `scalarize reproduce kurin2022 --page results/kurin2022.md`; every number is that of the command above it.
Stand-ins for the paper's data, much smaller and shorter than its runs: see *scaled*. Intervals: Student's t, 95 %,
over seeds; p-values corrected for the comparisons of their table (Holm). Where validation is best in the last epochs,
a row was still learning, and regularisation can only slow it: such rows are an *illustration* of the study, not
evidence on the paper's question. The column *paper* is its accuracy in percent, or its time ratio, on its own data.

On `rand-hie` the losses of the tasks lie two orders of magnitude apart, as those of the paper's data do not: plain
training on their sum is there a choice of weights that nobody would defend. `imtl-l`, which weighs losses and looks
at no gradient, is beside it for that; fixed weights inverse to the losses stand beside every method in
[methods](methods.md), and what a step costs with 40 tasks, as the paper's has, in [step-cost](step-cost.md).

A row beats plain training if it does so by more than one deviation of plain training between its seeds. Trainings
without regularisation that are best in their last epoch have not begun to overfit: no onset rests on them."""


def document(found: Sequence[Mapping[str, Any]]) -> str:
    """The page: verdicts, times, an answer in the studies' own sentences, the tables of averages, what was scaled."""
    lines = [*HEAD.splitlines(), "", *page_parts.summary("kurin2022", TRIALS, found)]
    return markdown.document(lines, found, choose)


def choose(kind: str, frame: pd.DataFrame) -> pd.DataFrame | None:
    """The rows and columns that matter."""
    if kind == "comparison":
        return frame[frame["task"] == "average"][["method", "mean", "low", "high", "seeds", "paper"]]
    if kind == "ratios":
        frame = frame[["method", "to_bare", "to_bare_low", "to_bare_high", "paper"]]
        return frame.rename(columns={"to_bare": "ratio", "to_bare_low": "low", "to_bare_high": "high"})
    if kind == "claims":
        return frame[[c for c in page_parts.CLAIMS if c in frame]]
    return frame.drop(columns="deviation", errors="ignore") if kind == "contrast" else None


PAGE = ResultsPage("kurin2022", TRIALS, document)
