"""What a row of a comparison consists of: from its name and a seed to the trainings behind it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scalarize.runs import plan as planned_runs
from scalarize.runs import search as searching
from scalarize.runs.plan import PlannedRun, Say
from scalarize.runs.request import WorkloadRequest
from scalarize.tasks.task import Data
from scalarize.weights.policy import Policy

Searched = tuple[Policy, float]  # a policy, and the trainings that its search cost


@dataclass(frozen=True)
class ComparisonContext:
    """What every contender is given.

    rate: the learning rate tried, None for the recipe's own; searched: the policies to compare; searches and
    population: repeats and size of the row that searches at random; seed: of the first of those searches.
    """

    problem: WorkloadRequest
    data: Data
    searched: Sequence[Searched]
    searches: int
    population: int
    split: float
    seed: int
    out: Path
    command: str
    rate: float | None = None
    say: Say | None = None

    def at(self, rate: float | None) -> ComparisonContext:
        """The same context at a learning rate."""
        if rate is None:
            return self
        settings = dict(self.problem.settings) | {"optimizer.lr": rate}
        return replace(self, rate=rate, problem=self.problem.model_copy(update={"settings": settings}))

    def run(self, row: str, seed: int, group: int | None = None, cost: float = 0.0, **source: Any) -> PlannedRun:
        """One training of the whole problem."""
        return PlannedRun(
            row, seed, [planned_runs.request_for(self.problem, seed=seed, **source)], group, cost, rate=self.rate
        )


Contender = Callable[[ComparisonContext, str, int], list[PlannedRun]]


def method(context: ComparisonContext, row: str, seed: int) -> list[PlannedRun]:
    """The method of that name."""
    return [context.run(row, seed, method=row)]


def single(context: ComparisonContext, row: str, seed: int) -> list[PlannedRun]:
    """One model a task or domain, each trained on it alone; together one value."""
    requests = [
        planned_runs.request_for(context.problem, seed=seed, method="uniform", single=name)
        for name in context.data.names
    ]
    return [PlannedRun(row, seed, requests, rate=context.rate)]


def inverse_loss(context: ComparisonContext, row: str, seed: int) -> list[PlannedRun]:
    """Fixed weights inverse to the losses before the first step."""
    return [
        context.run(row, seed, policy=planned_runs.inverse_policy(planned_runs.initial_losses(context.problem, seed)))
    ]


def inverse_constant(context: ComparisonContext, row: str, seed: int) -> list[PlannedRun]:
    """Fixed weights inverse to the losses of the best constant predictor: the centre of a search."""
    return [context.run(row, seed, policy=planned_runs.inverse_policy(context.data.constant_losses()))]


def retrained(
    context: ComparisonContext, row: str, seed: int, searched: Sequence[Searched], history: str
) -> list[PlannedRun]:
    """A model a search, trained with the full, last or mean history of its policy."""
    return [
        context.run(row, seed, group, cost, policy=policy.history(history).to_dict())
        for group, (policy, cost) in enumerate(searched)
    ]


def random_search(context: ComparisonContext, row: str, seed: int) -> list[PlannedRun]:
    """Models trained with the best weights of searches at random around the same centre."""
    searched = []
    for k in range(context.searches):
        name = f"random-{k}" + ("" if context.rate is None else f"-lr{context.rate:g}")
        asked = searching.SearchRequest(
            **context.problem.model_dump(),
            algorithm="random",
            population=context.population,
            split=context.split,
            seed=context.seed + k,
        )
        progress = searching.reporter(context.say, f"random search {k + 1}/{context.searches}")
        target = context.out / "searches" / name
        result = searching.search(asked, target, context.command, resume=True, progress=progress)
        searched.append((Policy.load(target / "policy.json"), float(result["trainings"])))
    return retrained(context, row, seed, searched, "full")


def _history(which: str) -> Contender:
    return lambda context, row, seed: retrained(context, row, seed, context.searched, which)


OF_POLICIES: dict[str, Contender] = {
    "policy": _history("full"),
    "policy-last": _history("last"),
    "policy-mean": _history("mean"),
}
SPECIAL: dict[str, Contender] = {
    "single": single,
    "inverse-loss": inverse_loss,
    "inverse-constant": inverse_constant,
    "random-search": random_search,
    **OF_POLICIES,
}
NEED_WEIGHTS = ("fixed", "policy")  # methods that are rows only with weights of their own
