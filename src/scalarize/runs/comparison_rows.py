"""Rows of a comparison: the runs of a row at a seed, and its value from finished runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from scalarize.runs.build import Loader, PreparedRun, prepare
from scalarize.runs.plan import PlannedRun
from scalarize.runs.request import WorkloadRequest
from scalarize.runs.row_values import RowValue, value_of
from scalarize.runs.sampling_rows import LISTED, samples, temperature, tempered_policy
from scalarize.runs.search import SearchRequest
from scalarize.weights import simplex
from scalarize.weights.policy import Policy

# A policy and the trainings that its search cost, or a search of the same plan, which will find one.
Searched = tuple[Policy, float] | PlannedRun
NEED_WEIGHTS = ("fixed", "policy")  # methods that are rows only with weights of their own


def inverse_policy(losses: Mapping[str, float]) -> Policy:
    """Return the constant policy whose weights are inverse to ``losses`` (task -> loss above 0)."""
    return Policy.constant(dict(zip(losses, simplex.inverse(list(losses.values())).tolist(), strict=True)))


def initial_losses(prepared: PreparedRun, seed: int) -> dict[str, float]:
    """Return each objective's training loss before the first step, for the model that ``seed`` makes."""
    return {name: seen["loss"] for name, seen in prepared.learner(seed).measure("train").items()}


@dataclass(frozen=True)
class ComparisonContext:
    """The context of a row: problem, seed, learning rate and budgets.

    prepared: the problem and its data. searched: the policies to compare. searches and population: repeats and size
    of the row that searches at random; split: the share of the training set that its members train on; seed: of the
    first of those searches. rate: the learning rate tried, None for the recipe's own. scored: the fields ``score`` and
    ``reference`` of trainings and searches, if rows are not ranked by the average. division: number of the random
    split of a table, None if there is only one. sharing: the architecture, None if rows do not differ in it.
    """

    prepared: PreparedRun
    loader: Loader
    searched: Sequence[Searched]
    searches: int
    population: int
    split: float
    seed: int
    rate: float | None = None
    scored: Mapping[str, Any] = field(default_factory=dict)
    division: int | None = None
    sharing: str | None = None

    @property
    def problem(self) -> WorkloadRequest:
        """The problem, without weights."""
        return self.prepared.request

    def at(self, rate: float | None) -> ComparisonContext:
        """Return the same context at a learning rate."""
        if rate is None:
            return self
        settings = dict(self.problem.settings) | {"optimizer.lr": rate}
        tuned = self.problem.model_copy(update={"settings": settings})
        return replace(self, rate=rate, prepared=prepare(tuned, self.loader))

    def divided(self, number: int) -> ComparisonContext:
        """Return the same context at another random split of the table's rows."""
        first = int(self.prepared.recipe.data["split_seed"])
        settings = dict(self.problem.settings) | {"data.split_seed": first + number}
        moved = self.problem.model_copy(update={"settings": settings})
        return replace(self, division=number, prepared=prepare(moved, self.loader))

    def sharing_as(self, name: str, problem: WorkloadRequest) -> ComparisonContext:
        """Return the same context with another architecture: ``problem`` is the one that it makes."""
        return replace(self, sharing=name, prepared=prepare(problem, self.loader))

    def label(self, row: str) -> str:
        """Return the name of a row in the table: with its architecture, as in ``uniform@ple``."""
        return row if self.sharing is None else f"{row}@{self.sharing}"

    def value(self, row: str, seed: int, **more: Any) -> RowValue:
        """Return one value of a row at this learning rate; ``more``: as :func:`value_of` takes it."""
        return value_of(
            self.problem, self.label(row), seed, rate=self.rate, split=self.division, scored=self.scored, **more
        )


RowMaker = Callable[[ComparisonContext, str, int], list[RowValue]]


def method(context: ComparisonContext, row: str, seed: int) -> list[RowValue]:
    """Plan a training with the method of that name."""
    return [context.value(row, seed, method=row)]


def single(context: ComparisonContext, row: str, seed: int) -> list[RowValue]:
    """Plan one training per task or domain, each on it alone; together they are one value."""
    return [context.value(row, seed, method="uniform", singles=context.prepared.data.names)]


def inverse_loss(context: ComparisonContext, row: str, seed: int) -> list[RowValue]:
    """Plan a training with fixed weights inverse to the losses before the first step."""
    return [context.value(row, seed, policy=inverse_policy(initial_losses(context.prepared, seed)))]


def inverse_constant(context: ComparisonContext, row: str, seed: int) -> list[RowValue]:
    """Plan a training with fixed weights inverse to the losses of the best constant predictor: the centre of a
    search."""
    return [context.value(row, seed, policy=inverse_policy(context.prepared.data.constant_losses()))]


def by_samples(context: ComparisonContext, row: str, seed: int) -> list[RowValue]:
    """Plan a training with fixed weights by the domains' numbers of samples, at the row's temperature."""
    value = temperature(row)
    assert value is not None
    return [context.value(row, seed, policy=tempered_policy(samples(context.prepared.data), value))]


def random_search(context: ComparisonContext, row: str, seed: int) -> list[RowValue]:
    """Plan trainings with the best weights of random searches around the same centre."""
    values = []
    for k in range(context.searches):
        rate, division = context.rate, context.division
        name = context.label(f"random-{k}")
        name += ("" if rate is None else f"-lr{rate:g}") + ("" if division is None else f"-split{division}")
        request = SearchRequest(
            **context.problem.fields(),
            algorithm="random",
            population=context.population,
            split=context.split,
            seed=context.seed + k,
            **context.scored,
        )
        searched = PlannedRun(name, request, directory=f"searches/{name}")
        values.append(context.value(row, seed, group=k, search=searched))
    return values


def retrained(history: str) -> RowMaker:
    """Plan one training per policy, with its full, last or mean history."""

    def make(context: ComparisonContext, row: str, seed: int) -> list[RowValue]:
        values = []
        for group, found in enumerate(context.searched):
            if isinstance(found, PlannedRun):
                values.append(context.value(row, seed, group=group, search=found, history=history))
            else:
                policy, cost = found
                given = policy.history(history)
                values.append(context.value(row, seed, group=group, search_trainings=cost, policy=given))
        return values

    return make


OF_POLICIES: dict[str, RowMaker] = {
    "policy": retrained("full"),
    "policy-last": retrained("last"),
    "policy-mean": retrained("mean"),
}
SPECIAL: dict[str, RowMaker] = {
    "single": single,
    "inverse-loss": inverse_loss,
    "inverse-constant": inverse_constant,
    **dict.fromkeys(LISTED, by_samples),
    "random-search": random_search,
    **OF_POLICIES,
}


def maker(row: str) -> RowMaker:
    """Return what plans the row of that name: a special one, a temperature, or a method's."""
    return SPECIAL.get(row) or (method if temperature(row) is None else by_samples)
