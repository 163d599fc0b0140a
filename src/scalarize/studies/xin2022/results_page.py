"""The results page of Xin et al. 2022: its translation claims on messages of programs.

It wants `scalarize data get gettext`. Targets that look at the same trainings share them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from scalarize.report import markdown
from scalarize.studies.results_page import ResultsPage, Trial

QUESTIONS = {
    "gettext-fr-zh": {
        "figure-2": "Does any optimiser reach beyond the front of proportional sampling? French and Chinese",
        "figure-3": "Do the optimisers' weights move over training?",
        "figure-13": "The same front in token errors",
        "figure-14": "The same front in BLEU",
        "figure-6-left": "Does a sparse grid of learning rates decide more than the seed?",
        "figure-6-right": "Does the ranking depend on the utility?",
        "figure-7": "Does a deeper model move the front?",
        "table-2": "What do per-task gradients and depth cost?",
    },
    "gettext-fr-ro": {
        "figure-5": "French and Romanian, which has 610 pairs: is there a front on the test set?",
    },
}
ONE_RATE = {"optimizer.lr": 4e-3}  # tuning every row on its own would cost days
OWN: dict[str, dict[str, Any]] = {
    # Learning rates are its axis, and seeds the other half of its comparison.
    "figure-6-left": {"sweeps": ("optimizer.lr",), "least_seeds": 5},
    # A training of the deepest model costs several of the others.
    "figure-7": {"budget": "tiny", "seeds": 1, "fixed_size": True},
}
TRIALS = tuple(
    Trial(
        target,
        workload,
        question,
        **{"budget": "small", "epochs": 12, "seeds": 2, "settings": ONE_RATE, **OWN.get(target, {})},
    )
    for workload, questions in QUESTIONS.items()
    for target, question in questions.items()
)
SHOWN = {
    "contrast": [
        *("row", "kind", "mean", "low", "high", "million parameters", "paper parameters"),
        *("units a second", "paper steps"),
    ],
    "claims": ["claim", "where", "part", "mean", "low", "high", "upper", "units", "verdict"],
    "two-tasks": ["row", "weight", "rate", "seed", "x", "y", "line"],
    "utility": ["row", "u", "test"],
}

HEAD = """\
# Xin et al. 2022: optimisers against proportional sampling, on messages of programs

Written by `scalarize reproduce xin2022 --page results/xin2022.md`; every number is that of the command above it. The
text is that of gettext (`scalarize data get gettext`), not WMT: models, data and trainings are far smaller than the
paper's, see *scaled*. Test: the best epoch on validation; train: the last epoch, on a sample of the training pairs.
Learning rates are in the paper's units, 0.5 its best; intervals are Student's, 95 %, over seeds.

Where `--set optimizer.lr` stands in a command, one learning rate serves all its rows: none is tuned on its own. Where
there are two seeds they are one fewer than this project asks of a result: an *illustration*."""


def document(found: Sequence[Mapping[str, Any]]) -> str:
    """The page: the studies' own sentences, their tables, and what was scaled."""
    return markdown.document(HEAD.splitlines(), found, choose)


def choose(kind: str, frame: pd.DataFrame) -> pd.DataFrame | None:
    """The columns that matter."""
    return frame[[c for c in SHOWN[kind] if c in frame]] if kind in SHOWN else None


PAGE = ResultsPage("xin2022", TRIALS, document)
