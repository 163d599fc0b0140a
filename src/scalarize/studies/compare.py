"""Compare methods and policies over seeds, in one table with intervals, costs and verdicts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from scalarize import files, methods, records
from scalarize.analysis import comparison, tables
from scalarize.errors import RequestError, one_of
from scalarize.policy import Policy
from scalarize.studies import runs, searching
from scalarize.studies.runs import PlannedRun, Say
from scalarize.training import Problem

HISTORIES = {"policy": "full", "policy-last": "last", "policy-mean": "mean"}
SEARCHED = "random-search"
NEEDS_WEIGHTS = ("fixed", "policy")  # methods that are rows only with weights of their own
SPECIAL = ("single", "inverse-loss", "inverse-constant", SEARCHED, *HISTORIES)


class CompareRequest(Problem):
    """A problem, the rows of the table and the seeds of each.

    rows: names of methods, or of SPECIAL; policies: contents of policies, one a search; searches: how often
    ``random-search`` is repeated; row_seeds: another number of seeds for a row; learning_rates: tried for every row,
    the one with the best validation average is reported, and all are counted.
    """

    rows: tuple[str, ...]
    policies: tuple[dict[str, Any], ...] = ()
    policy_trainings: tuple[float, ...] = ()
    seeds: int = Field(default=3, ge=1)
    seed: int = 0
    row_seeds: dict[str, int] = Field(default_factory=dict)
    learning_rates: tuple[float, ...] = ()
    searches: int = Field(default=3, ge=1)
    population: int = 12
    split: float = 0.7
    focus: str | None = None

    def check(self) -> None:
        """Raise RequestError for an unknown row, or one that lacks its policy."""
        if not self.rows:
            raise RequestError("--methods: name at least one of `scalarize methods` or " + ", ".join(SPECIAL))
        for row in self.rows:
            if row not in SPECIAL and row not in methods.names():
                raise one_of("method", row, [*methods.names(), *SPECIAL])
            if row in HISTORIES and not self.policies:
                raise RequestError(f"the row {row!r} needs --policy FILE (several are one row over searches)")
        if len(set(self.rows)) != len(self.rows):
            raise RequestError(f"--methods names a row twice: {', '.join(self.rows)}")
        if any(not rate > 0 for rate in self.learning_rates):
            raise RequestError(f"--learning-rates must be positive, got {list(self.learning_rates)}")


def all_methods() -> list[str]:
    """Every method that can be a row by its name alone."""
    return [name for name in methods.names() if name not in NEEDS_WEIGHTS]


def compare(request: CompareRequest, out: Path, command: str, resume: bool, say: Say | None = None) -> dict[str, Any]:
    """Run the comparison in ``out`` and return its result (the JSON of ``compare``)."""
    request.check()
    request.check_device()
    records.check_directory(out)
    problem = searching.problem_of(request)
    workload = problem.resolve()
    recipe = problem.recipe(workload)
    data = problem.load(workload, recipe)
    policies = [Policy.from_dict(p, "--policy").reorder(data.names) for p in request.policies]
    with files.lock(out):
        records.claim(out, "compare", request.model_dump(mode="json"), resume, command)
        plan = [p for row in request.rows for p in _planned(row, request, problem, data, policies, out, command, say)]
        found = runs.execute(plan, out, command, say)
        kept = choose_rates(found)
        lower = bool(data.tasks) and not data.tasks[0].higher_is_better
        focus = request.focus if request.focus in request.rows else None
        result = {
            "out": str(out),
            "rows": comparison.rows(kept),
            "verdicts": comparison.sentences(kept, focus, lower),
            "workload": request.label,
            "runs": [d for r in kept for d in r["directories"]],
            "found": found,
        }
        files.write_json(out / "result.json", result)
    return result


def _planned(
    row: str,
    request: CompareRequest,
    problem: Problem,
    data: Any,
    policies: Sequence[Policy],
    out: Path,
    command: str,
    say: Say | None,
) -> list[PlannedRun]:
    seeds = range(request.seed, request.seed + request.row_seeds.get(row, request.seeds))
    planned = []
    for rate in request.learning_rates or (None,):
        settings = dict(problem.settings) | ({"optimizer.lr": rate} if rate else {})
        tuned = problem.model_copy(update={"settings": settings})
        make = _maker(row, request, tuned, data, policies, out, command, say)
        planned += [p for seed in seeds for p in make(seed, rate)]
    return planned


def _maker(
    row: str,
    request: CompareRequest,
    problem: Problem,
    data: Any,
    policies: Sequence[Policy],
    out: Path,
    command: str,
    say: Say | None,
) -> Callable[[int, float | None], list[PlannedRun]]:
    """A function from seed and learning rate to the planned runs of one row."""

    def one(**source: Any) -> Callable[[int, float | None], list[PlannedRun]]:
        return lambda seed, rate: [PlannedRun(row, seed, [runs.request_for(problem, seed=seed, **source)], rate=rate)]

    def grouped(found: Sequence[Policy], costs: Sequence[float]) -> Callable[[int, float | None], list[PlannedRun]]:
        return lambda seed, rate: [
            PlannedRun(row, seed, [runs.request_for(problem, seed=seed, policy=p.to_dict())], group, cost, rate=rate)
            for group, (p, cost) in enumerate(zip(found, costs, strict=True))
        ]

    if row == "single":
        return lambda seed, rate: [
            PlannedRun(
                row,
                seed,
                [runs.request_for(problem, seed=seed, method="uniform", single=name) for name in data.names],
                rate=rate,
            )
        ]
    if row == "inverse-constant":
        return one(policy=runs.inverse_policy(data.constant_losses()))
    if row == "inverse-loss":
        return lambda seed, rate: one(policy=runs.inverse_policy(runs.initial_losses(problem, seed)))(seed, rate)
    if row in HISTORIES:
        costs = request.policy_trainings or [float(p.provenance.get("trainings", 0)) for p in policies]
        return grouped([p.history(HISTORIES[row]) for p in policies], costs)
    if row == SEARCHED:
        return grouped(*random_policies(request, problem, out, command, say))
    return one(method=row)


def random_policies(
    request: CompareRequest, problem: Problem, out: Path, command: str, say: Say | None
) -> tuple[list[Policy], list[float]]:
    """The policies of ``searches`` random searches from the search's own centre, and what each cost."""
    found, costs = [], []
    for k in range(request.searches):
        fields = problem.model_dump()
        asked = searching.SearchRequest(
            **fields, algorithm="random", population=request.population, split=request.split, seed=request.seed + k
        )
        target = out / "searches" / f"random-{k}"
        result = searching.search(
            asked,
            target,
            command,
            resume=True,
            progress=searching.reporter(say, f"random search {k + 1}/{request.searches}"),
        )
        found.append(Policy.load(target / "policy.json"))
        costs.append(result["trainings"])
    return found, costs


def choose_rates(found: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of runs at several learning rates, those at each row's best mean validation average; their cost counts all.

    Raises RequestError where there is no validation split to choose on.
    """
    kept = []
    for row in dict.fromkeys(r["method"] for r in found):
        own = [r for r in found if r["method"] == row]
        rates = list(dict.fromkeys(r["rate"] for r in own))
        if len(rates) > 1 and any(r["validation"] is None for r in own):
            raise RequestError("--learning-rates are chosen on a validation split, which this workload does not have")
        means = {}
        for rate in rates:
            values = [r["validation"] for r in own if r["rate"] == rate]
            means[rate] = 0.0 if len(rates) == 1 else sum(values) / len(values)
        best = max(means, key=lambda rate: means[rate])
        kept += [r | {"trainings": r["trainings"] * len(rates)} for r in own if r["rate"] == best]
    return kept


def public(result: dict[str, Any]) -> dict[str, Any]:
    """The JSON of ``compare``: without the single runs, which lie in its directory."""
    return {k: v for k, v in result.items() if k != "found"}


def summary(result: dict[str, Any]) -> str:
    """The table and the verdicts for people."""
    scale = comparison.display_scale(result["found"])
    lines = [tables.comparison_table(result["rows"], scale), *result["verdicts"], f"written to {result['out']}"]
    return "\n".join(lines)
