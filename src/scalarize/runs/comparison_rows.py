"""Rows of a comparison: the runs of a row at a seed, and its value from finished runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from scalarize.runs.build import Loader, PreparedRun, prepare
from scalarize.runs.plan import FinishedRun, PlannedRun
from scalarize.runs.request import WorkloadRequest, train_request
from scalarize.runs.search import SearchRequest
from scalarize.weights import simplex
from scalarize.weights.policy import Policy

# A policy and the trainings that its search cost, or a search of the same plan, which will find one.
Searched = tuple[Policy, float] | PlannedRun
NEED_WEIGHTS = ("fixed", "policy")  # methods that are rows only with weights of their own


@dataclass(frozen=True)
class RowValue:
    """One value of a row, and its trainings (several if each trains one task alone).

    row: the table's row. group: the number of the search whose policy is retrained, or None. search: that search,
    if it is part of the plan. search_trainings: the trainings that it cost, if it is not. rate: the learning rate
    tried, None for the recipe's own.
    """

    row: str
    seed: int
    trainings: Sequence[PlannedRun]
    group: int | None = None
    search: PlannedRun | None = None
    search_trainings: float = 0
    rate: float | None = None

    @property
    def runs(self) -> list[PlannedRun]:
        """All runs of the value."""
        return [*([self.search] if self.search else []), *self.trainings]

    def record(self, finished: Mapping[str, FinishedRun]) -> dict[str, Any]:
        """Return the value in the form that ``analysis.comparison`` reads.

        Args:
            finished: the plan's runs by name.

        Returns:
            {"method", "group", "seed", "rate", "test", "average", "validation", "trainings", "search_trainings",
            "directories", "seconds", "diverged"}. If a training diverged in its first epoch, there is nothing to
            measure: ``test`` is empty, ``average`` and ``validation`` are None.
        """
        results = [finished[p.name].result for p in self.trainings]
        measured = all("test" in r for r in results)

        def merged(split: str) -> dict[str, float]:
            return {k: v for r in results for k, v in r[split].items() if k != "average"} if measured else {}

        test, validation = merged("test") or merged("validation"), merged("validation")
        cost = self.search_trainings if self.search is None else float(finished[self.search.name].result["trainings"])
        return {
            "method": self.row,
            "group": self.group,
            "seed": self.seed,
            "rate": self.rate,
            "test": test,
            "average": sum(test.values()) / len(test) if test else None,
            "validation": sum(validation.values()) / len(validation) if validation else None,
            "trainings": len(results),
            "search_trainings": cost,
            "directories": [p.directory for p in self.trainings],
            "seconds": sum(r.get("seconds", 0.0) for r in results),
            "diverged": [r["diverged"] for r in results if "diverged" in r],
        }


def value_of(
    problem: WorkloadRequest,
    row: str,
    seed: int,
    group: int | None = None,
    rate: float | None = None,
    search: PlannedRun | None = None,
    search_trainings: float = 0,
    history: str = "full",
    singles: Sequence[str] = (),
    **source: Any,
) -> RowValue:
    """Return one value of a row.

    Args:
        problem: the workload and its settings.
        row, seed, group, rate, search, search_trainings: see :class:`RowValue`.
        history: which part of the policy that ``search`` finds.
        singles: tasks of which each is trained on alone; empty for one training of all.
        source: of the weights, fields of :class:`TrainRequest`.

    Returns:
        The value, whose trainings lie below ``runs/``.
    """
    parts = [row, *([f"search{group}"] if group is not None else []), *([f"lr{rate:g}"] if rate is not None else [])]
    stem = "-".join([*parts, f"seed{seed}"])
    given = search.name if search else None
    trainings = []
    for single in singles or (None,):
        name = f"{stem}-{single}" if single else stem
        request = train_request(problem, seed=seed, single=single, **source)
        trainings.append(PlannedRun(name, request, directory=f"runs/{name}", policy_of=given, history=history))
    return RowValue(row, seed, trainings, group, search, search_trainings, rate)


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
    first of those searches. rate: the learning rate tried, None for the recipe's own.
    """

    prepared: PreparedRun
    loader: Loader
    searched: Sequence[Searched]
    searches: int
    population: int
    split: float
    seed: int
    rate: float | None = None

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

    def value(self, row: str, seed: int, **more: Any) -> RowValue:
        """Return one value of a row at this learning rate; ``more``: as :func:`value_of` takes it."""
        return value_of(self.problem, row, seed, rate=self.rate, **more)


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


def random_search(context: ComparisonContext, row: str, seed: int) -> list[RowValue]:
    """Plan trainings with the best weights of random searches around the same centre."""
    values = []
    for k in range(context.searches):
        name = f"random-{k}" + ("" if context.rate is None else f"-lr{context.rate:g}")
        request = SearchRequest(
            **context.problem.fields(),
            algorithm="random",
            population=context.population,
            split=context.split,
            seed=context.seed + k,
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
    "random-search": random_search,
    **OF_POLICIES,
}
