"""Mixtures and weights chosen from runs made anywhere: what to train, laws, the choice, how right it was.

No torch here: :func:`design`, :func:`fit`, :func:`choose`, :func:`check` and :func:`report` take CSV files or pandas
frames. The same verbs are on the command line, ``scalarize mixture``; ``docs/mixtures.md`` walks through them.
"""

from __future__ import annotations

from scalarize.search.mixture.api import check, choose, design, fit, fit_steps, report
from scalarize.search.mixture.checking import Check
from scalarize.search.mixture.choice import Choice
from scalarize.search.mixture.fitting import Fit
from scalarize.search.mixture.stages import Stages, schedule
from scalarize.search.mixture.store import load, save

__all__ = [
    "Check", "Choice", "Fit", "Stages", "check", "choose", "design", "fit", "fit_steps", "load", "report", "save",
    "schedule",
]  # fmt: skip
