"""The contenders of an advice on a workload or a table: their runs, their scores, and the policies behind them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from scalarize.analysis.race_budget import Field
from scalarize.methods import advised
from scalarize.runs import comparison_rows, sampling_rows
from scalarize.runs.build import Loader, PreparedRun, prepare
from scalarize.runs.compare import all_methods
from scalarize.runs.comparison_rows import ComparisonContext
from scalarize.runs.plan import FinishedRun, PlannedRun
from scalarize.runs.policy_from_run import policy_of_run
from scalarize.runs.request import ScoredRequest, TrainRequest
from scalarize.runs.row_values import RowValue
from scalarize.runs.search import SearchRequest
from scalarize.runs.task_score import AVERAGE, TaskScore
from scalarize.search import score as scores
from scalarize.utils.errors import RequestError
from scalarize.weights.policy import Policy

SPLIT = 0.7  # share of the training set that the members of a search train on
SINGLE = "single"
SEARCHES = {"random": "random", "pbt": "pbt"}  # contender -> algorithm
ALIKE = 0.01  # log-weights that differ less are one rule


@dataclass(frozen=True)
class Contenders:
    """All that a race trains on one problem.

    context: makes the runs. judge: the score, higher is better. main: the task that the score is about, if it is about
    one alone.
    """

    field: Field
    context: ComparisonContext
    judge: TaskScore
    main: str | None
    seed: int

    @property
    def prepared(self) -> PreparedRun:
        """The problem and its data."""
        return self.context.prepared

    @property
    def tested(self) -> bool:
        """True if there is a test split."""
        return self.prepared.data.has("test")

    def search(self, name: str, members: int) -> PlannedRun:
        """Plan a search with so many members."""
        request = SearchRequest(
            **self.context.problem.fields(),
            algorithm=SEARCHES[name],
            population=members,
            ready=max(1, min(3, self.prepared.recipe.epochs // 4)),
            split=SPLIT,
            seed=self.seed,
            **self.context.scored,
        )
        return PlannedRun(name, request, directory=f"searches/{name}")

    def value(self, name: str, seed: int, members: Mapping[str, int]) -> RowValue:
        """Plan what a contender trains with a seed; ``members``: of each search."""
        if name in members:
            return self.context.value(name, seed, search=self.search(name, members[name]))
        if name == SINGLE and self.main is not None:
            return self.context.value(name, seed, method=advised.EVEN, singles=[self.main])
        return comparison_rows.maker(name)(self.context, name, seed)[0]

    def scored(self, value: RowValue, finished: Mapping[str, FinishedRun], split: str) -> float:
        """Return the score of a contender's trainings with a seed; NaN if one diverged at once."""
        metrics = dict.fromkeys(self.prepared.data.names, math.nan)
        for planned in value.trainings:
            metrics |= {t: m for t, m in finished[planned.name].result.get(split, {}).items() if t in metrics}
        return self.judge.of(metrics)

    def policy(self, name: str, value: RowValue | None, finished: Mapping[str, FinishedRun]) -> Policy:
        """Return the weights behind a contender: of one that changes with the seed, those of ``value``."""
        names = self.prepared.data.names
        if name == SINGLE and self.main is not None:
            return Policy.constant({task: float(task == self.main) for task in names})
        if value is None or name in (SINGLE, advised.EVEN):
            return Policy.constant(dict.fromkeys(names, 1.0))
        run = finished[value.trainings[0].name]
        assert isinstance(run.request, TrainRequest)
        return run.request.policy or policy_of_run(run.directory)[0]


def of(request: ScoredRequest, seed: int, loader: Loader) -> Contenders:
    """Find the contenders of a problem.

    Args:
        request: the problem and the score.
        seed: of the searches.
        loader: of the command.

    Returns:
        The contenders.

    Raises:
        RequestError: there is one task or domain only, no validation split, or nothing to score by.
    """
    prepared = prepare(request.problem(), loader)
    data = prepared.data
    if len(data.names) < 2:
        raise RequestError(f"{data.names[0]} is the only task: weights matter between at least two tasks or domains")
    if not data.has("validation"):
        raise RequestError(f"{request.label}: has no validation split, by which a race decides")
    if request.score == AVERAGE and not data.has_average:
        raise RequestError(
            f"{request.label}: higher is better for some of its tasks and worse for others, so they have no average; "
            "choose a `score`, such as one main task, or restrict it with `tasks`"
        )
    scores.create(request.score, data.names, request.reference)
    judge = TaskScore(request.score, {o.name: o.task.higher_is_better for o in data.objectives}, request.reference)
    shares = scores.shares(request.score, data.names) or {}
    main = next((task for task, share in shares.items() if share == 1), None)
    scored = {} if request.score == AVERAGE else {"score": request.score, "reference": request.reference}
    context = ComparisonContext(prepared, loader, (), 1, 1, SPLIT, seed, scored=scored)
    cost = 1 if main is not None else len(data.names)
    field = Field(advised.EVEN, _rules(context), SINGLE, cost, main is not None, tuple(SEARCHES), SPLIT)
    return Contenders(field, context, judge, main, seed)


def _rules(context: ComparisonContext) -> tuple[str, ...]:
    """Return the rules that have a meaning here, without those that are even weights, or another rule again."""
    data, kind = context.prepared.data, context.prepared.workload.kind
    fixed = ["inverse-constant"] if all(o.task.constant_loss is not None for o in data.objectives) else []
    fixed += sampling_rows.LISTED if data.separate else []
    kept: dict[str, Any] = {}
    known = [np.zeros(len(data.names))]
    for name in fixed:
        policy = comparison_rows.maker(name)(context, name, context.seed)[0].trainings[0].request
        assert isinstance(policy, TrainRequest)
        assert policy.policy is not None
        logs = np.log(np.maximum(policy.policy.reorder(data.names).weights_at(0), 1e-12))
        if all(np.ptp(logs - other) > ALIKE for other in known):
            known.append(logs)
            kept[name] = logs
    learned = [name for name in advised.LEARNED if name in all_methods(kind)]
    return ("inverse-loss", *kept, *learned)
