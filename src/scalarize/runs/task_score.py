"""The score by which epochs, rows and learning rates are compared: one number from the metrics of all tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from scalarize.learners.evaluation import Measurements
from scalarize.runs.request import ScoredRequest, TrainRequest
from scalarize.search import score as scores
from scalarize.tasks.task import Data
from scalarize.utils.errors import RequestError

AVERAGE = "average"


@dataclass(frozen=True)
class TaskScore:
    """A score over the tasks of a training, from metrics in their own directions.

    name: as asked for, such as ``main=price``. higher: task -> True if higher is better, in the tasks' order.
    reference: single-task metrics, for ``gain``.
    """

    name: str
    higher: Mapping[str, bool]
    reference: Mapping[str, float] | None = None

    def of(self, metrics: Mapping[str, float]) -> float:
        """Return the score of metrics by task; higher is better, as in a search."""
        signed = [metrics[t] if up else -metrics[t] for t, up in self.higher.items()]
        judge = scores.create(self.name, list(self.higher), self.reference)
        return float(judge(np.array([signed], dtype=np.float64))[0])

    def of_measurements(self, seen: Measurements) -> float:
        """Return the score of an epoch's measurements; higher is better."""
        return self.of({task: seen[task]["metric"] for task in self.higher})

    def shown(self, metrics: Mapping[str, float]) -> float:
        """Return the score as a reader sees it: of metrics where lower is better, lower is better too."""
        return -self.of(metrics) if self.lower_is_better else self.of(metrics)

    @property
    def lower_is_better(self) -> bool:
        """True if it is for every task that counts, so that the score can be shown in their direction."""
        shares = scores.shares(self.name, list(self.higher))
        counted = [t for t, share in (shares or self.higher).items() if share or shares is None]
        return self.name != "gain" and not any(self.higher[t] for t in counted)

    def to_dict(self) -> dict[str, Any]:
        """Return what tables and pages need: name, direction, and the factor of each metric in a weighted mean."""
        shares = scores.shares(self.name, list(self.higher))
        weights = None
        if shares is not None:
            flipped = {t: not up and not self.lower_is_better for t, up in self.higher.items()}
            weights = {t: -share if flipped[t] else share for t, share in shares.items() if share}
        return {"name": self.name, "lower_is_better": self.lower_is_better, "weights": weights}


def task_score(request: ScoredRequest, data: Data) -> TaskScore | None:
    """Return the score that a request asks for, over the objectives of ``data``; None for the plain average.

    Raises:
        RequestError: the score or a task is unknown, or it is asked for of a training on one task alone.
    """
    if request.score == AVERAGE:
        return None
    if isinstance(request, TrainRequest) and request.single is not None:
        raise RequestError(f"`single` and `score` exclude each other: {request.single} is all that there is to score")
    scores.create(request.score, data.names, request.reference)
    return TaskScore(request.score, {o.name: o.task.higher_is_better for o in data.objectives}, request.reference)
