"""The results page of Xin et al. 2022: by default its claims on a table, which a core trains in minutes.

`--workload gettext-fr-zh` and `--workload gettext-fr-ro` run its translation targets on messages of programs, for
hours; they want `scalarize data get gettext`. Targets that look at the same trainings share them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from scalarize.report import markdown
from scalarize.studies import page_parts
from scalarize.studies.results_page import ResultsPage, Trial

BEYOND = "Does any optimiser reach beyond the front of scalarization? {}"
DEEPER = "Does a deeper model move the front? {}"
SPARSE = "Does a sparse grid of learning rates decide more than the seed? {}"
SIZE: dict[str, Any] = {"budget": "small", "epochs": 12, "seeds": 5}
PAIR: dict[str, Any] = {"tasks": ("any-mental", "visits-other"), "settings": {"batch_size": 1024}}
SITES: dict[str, Any] = {"tasks": ("site-1", "site-3")}
# Learning rates are its axis, and seeds the other half of its comparison.
RATES: dict[str, Any] = {"sweeps": ("optimizer.lr",), "least_seeds": 5}
WHOLE: dict[str, Any] = {**SIZE, "budget": "full", "seeds": 9}  # as many as in the paper; they are few
TABLE = (
    Trial("figure-2", "rand-hie", BEYOND.format("Two tasks"), minutes=3, **SIZE, **PAIR),
    Trial("figure-7", "rand-hie", DEEPER.format("Two tasks"), minutes=2, **SIZE, **PAIR),
    Trial("figure-6-left", "rand-hie", SPARSE.format("Two tasks"), minutes=1, **WHOLE, **PAIR, **RATES),
    Trial("figure-2", "rand-hie-sites", BEYOND.format("Two domains"), minutes=3, **SIZE, **SITES),
    Trial("figure-7", "rand-hie-sites", DEEPER.format("Two domains"), minutes=2, **SIZE, **SITES),
    Trial("figure-6-left", "rand-hie-sites", SPARSE.format("Two domains"), minutes=1, **WHOLE, **SITES, **RATES),
    Trial(
        "figure-10",
        "rand-hie",
        "Does tuning decide more than the choice of the optimiser? Seven tasks",
        minutes=5,
        budget="small",
        epochs=12,
        seeds=3,
        settings={"batch_size": 1024},
    ),
)
QUESTIONS = {
    "gettext-fr-zh": {
        "figure-2": BEYOND.format("French and Chinese, by proportional sampling"),
        "figure-3": "Do the optimisers' weights move over training?",
        "figure-13": "The same front in token errors",
        "figure-14": "The same front in BLEU",
        "figure-6-left": SPARSE.format("Translation"),
        "figure-6-right": "Does the ranking depend on the utility?",
        "figure-7": DEEPER.format("Translation"),
        "table-2": "What do per-task gradients and depth cost?",
    },
    "gettext-fr-ro": {
        "figure-5": "French and Romanian, which has 610 pairs: is there a front on the test set?",
    },
}
ONE_RATE = {"optimizer.lr": 4e-3}  # tuning every row on its own would cost days
OWN: dict[str, dict[str, Any]] = {
    "figure-6-left": {**RATES, "minutes": 36},
    # A training of the deepest model costs several of the others.
    "figure-7": {"budget": "tiny", "seeds": 1, "fixed_size": True, "minutes": 25},
    "figure-5": {"minutes": 105},
    "table-2": {"minutes": 2},
}
TRANSLATION = tuple(
    Trial(
        target,
        workload,
        question,
        **{"budget": "small", "epochs": 12, "seeds": 3, "settings": ONE_RATE, "minutes": 92, **OWN.get(target, {})},
        optional=True,
    )
    for workload, questions in QUESTIONS.items()
    for target, question in questions.items()
)
TRIALS = (*TABLE, *TRANSLATION)
SHOWN = {
    "contrast": [
        *("row", "kind", "mean", "low", "high", "million parameters", "paper parameters"),
        *("units a second", "paper steps"),
    ],
    "claims": page_parts.CLAIMS,
    "two-tasks": ["row", "weight", "rate", "seed", "x", "y", "line"],
    "utility": ["row", "u", "test"],
}

HEAD = """\
# Xin et al. 2022: optimisers against the front of scalarization

Written by `scalarize reproduce xin2022 --page results/xin2022.md`; every number is that of the command above it. The
data are the RAND health insurance experiment, not WMT or CelebA: two of its tasks, whose losses lie two orders of
magnitude apart, two of its sites as domains with weights as sampling rates, and all seven tasks; perceptrons of one to
three layers. Far smaller than the paper's models and data, see *scaled*. Test: the best epoch on validation; train: the
last epoch. Learning rates are in the paper's units, 0.5 its best and the recipe's own; intervals are Student's, 95 %,
over seeds (of ratios of deviations: of the F distribution).

Translation of programs' messages, as near to the paper as what installs here, takes hours: `--workload gettext-fr-zh`
and `--workload gettext-fr-ro` (after `scalarize data get gettext`); what it once gave is in
[xin2022-translation](xin2022-translation.md)."""


def document(found: Sequence[Mapping[str, Any]]) -> str:
    """The page: verdicts, times, the studies' own sentences, their tables, and what was scaled."""
    lines = [*HEAD.splitlines(), "", *page_parts.summary("xin2022", TRIALS, found)]
    return markdown.document(lines, found, choose)


def choose(kind: str, frame: pd.DataFrame) -> pd.DataFrame | None:
    """The columns that matter; of the models those that none at all dominates."""
    if kind == "two-tasks" and "front" in frame:
        frame = frame[frame["front"]]
    return frame[[c for c in SHOWN[kind] if c in frame]] if kind in SHOWN else None


PAGE = ResultsPage("xin2022", TRIALS, document)
