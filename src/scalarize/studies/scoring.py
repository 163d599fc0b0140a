"""The scores by which a study chooses learning rates, weights and policies: the one place that decides it.

They are metrics on the validation split. Data without one (CIFAR and STL, DomainNet) are scored as members of a search
are (Royer et al. 2023, section 5): every training among which is chosen has a second one on 70 % of the training set,
and its metrics on the remaining 30 % are the score of the first, which trains on the whole set and is tested.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from scalarize.runs.plan import PlannedRun
from scalarize.runs.request import TrainRequest
from scalarize.studies.context import Context

SHARE = 0.7


def scored(context: Context, planned: Sequence[PlannedRun]) -> list[PlannedRun]:
    """Add to trainings among which is chosen those that give them their scores.

    Args:
        context: of the plan.
        planned: trainings, and searches, which have a score of their own.

    Returns:
        The runs as they are if the data have a validation split; else each training, and the one that scores it.
    """
    if context.data.has("validation"):
        return list(planned)
    return [run for own in planned for run in (own, *_scoring(own))]


def _scoring(planned: PlannedRun) -> list[PlannedRun]:
    if not isinstance(planned.request, TrainRequest):
        return []
    request = planned.request.model_copy(update={"split": SHARE, "read_train": None, "probe_every": None})
    name = f"score {planned.name}"
    return [dataclasses.replace(planned, name=name, request=request, keep_records=False, score_of=planned.name)]


def chosen_on(context: Context) -> str:
    """Say in words what scores are measured on."""
    if context.data.has("validation"):
        return "validation"
    return f"a held-out {1 - SHARE:.0%} of the training set by trainings on the rest, as there is no validation split"
