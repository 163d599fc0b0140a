"""A part of the training set that is held out, on which trainings are scored: members of a search, and the trainings
among which a study chooses on data without a validation split.
"""

from __future__ import annotations

from dataclasses import replace

from scalarize.tasks.samples import TensorTable
from scalarize.tasks.task import Data, Objective
from scalarize.utils.errors import RequestError

HOLDOUT = "holdout"
VALIDATION = "validation"
TRIES = 50


def held_out(data: Data, share: float) -> Data:
    """Hold out a part of the training set on which every task can be measured.

    Args:
        data: of a training.
        share: of its training set to train on, in (0, 1).

    Returns:
        The data with a split ``holdout``; of random ones, the first in which every task held in memory has two
        different labels on both sides.

    Raises:
        RequestError: no such part was found, because labels are too rare.
    """
    for seed in range(TRIES):
        found = data.with_holdout(share, seed)
        lacking = [o.name for o in found.objectives if not _varied(found, o)]
        if not lacking:
            return found
    raise RequestError(f"{lacking[0]}: its labels are too rare to hold out a part of the training set for a score")


def with_validation(data: Data, share: float) -> Data:
    """Hold out the same part of the training set as its split ``validation``; there is no test split then.

    Args:
        data: of a training.
        share: of its training set to train on, in (0, 1).

    Returns:
        The data with the splits ``train`` and ``validation``.

    Raises:
        RequestError: no such part was found, because labels are too rare.
    """
    parted = held_out(data, share)
    domains = {
        name: replace(d, splits={"train": d.splits["train"], VALIDATION: d.splits[HOLDOUT]})
        for name, d in parted.domains.items()
    }
    return replace(parted, domains=domains)


def _varied(data: Data, objective: Objective) -> bool:
    for source in data.domains[objective.domain].splits.values():
        if isinstance(source, TensorTable):
            known = (source.labelled or {}).get(objective.task.name)
            labels = source.targets[objective.task.name]
            labels = labels if known is None else labels[known]
            if labels.ndim == 1 and not bool((labels != labels[:1]).any()):
                return False
    return True
