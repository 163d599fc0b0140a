"""Compare methods and policies over seeds, in one table with intervals, costs and verdicts."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from scalarize import methods
from scalarize.analysis import comparison, text_tables
from scalarize.runs import comparison_rows, comparison_values, sampling_rows, table_baselines
from scalarize.runs.build import Loader, prepare
from scalarize.runs.comparison_records import choose_rates, diverged, verdicts
from scalarize.runs.comparison_rows import NEED_WEIGHTS, OF_POLICIES, SPECIAL, ComparisonContext
from scalarize.runs.directory import claim
from scalarize.runs.plan import FinishedRun, PlannedRun, Say, Workers, execute
from scalarize.runs.request import PolicyField, ScoredRequest
from scalarize.runs.task_score import AVERAGE, TaskScore, task_score
from scalarize.utils import limits
from scalarize.utils.errors import RequestError, unknown_name_error
from scalarize.utils.holding import held
from scalarize.utils.manifest import Manifest
from scalarize.workloads.table.baselines import NAMES as SIMPLE


class CompareRequest(ScoredRequest):
    """A problem, the rows of the table and the seeds of each, ranked by the average or the score that is asked for.

    rows: names of methods, or of SPECIAL; policies: one a search; searches: how often
    ``random-search`` is repeated; row_seeds: another number of seeds for a row; learning_rates: tried for every row,
    the one with the best score on validation is reported, and all are counted; focus: the row of the question.
    sharing: names of architectures; every row is there with each of them, and counts its parameters.
    splits: so many random splits of a table, each with all rows and seeds. baselines: add rows of simple models of the
    table to compare with, None for yes if there is a table.
    """

    rows: tuple[str, ...]
    policies: tuple[PolicyField, ...] = ()
    seeds: int = Field(default=3, ge=1, le=limits.SEEDS)
    seed: int = Field(default=0, ge=-limits.SEED, le=limits.SEED)
    row_seeds: dict[str, int] = Field(default_factory=dict)
    learning_rates: tuple[float, ...] = ()
    searches: int = Field(default=3, ge=1, le=limits.SEEDS)
    population: int = Field(default=12, ge=1, le=limits.POPULATION)
    split: float = 0.7
    focus: str | None = None
    splits: int = Field(default=1, ge=1, le=100)
    baselines: bool | None = None
    sharing: tuple[str, ...] = ()

    LATER: ClassVar[dict[str, Any]] = ScoredRequest.LATER | {"splits": 1, "baselines": None, "sharing": ()}

    def check(self, kind: str) -> None:
        """Check the rows.

        Args:
            kind: of the workload, ``multi-task`` or ``multi-domain``.

        Raises:
            RequestError: a row is unknown, named twice, lacks its policy, or cannot weigh domains.
        """
        if not self.rows:
            raise RequestError("`rows`: name at least one of `scalarize methods` or " + ", ".join(SPECIAL))
        for row in self.rows:
            if comparison_rows.maker(row) is comparison_rows.method and row not in all_methods():
                raise unknown_name_error("method", row, [*all_methods(), *SPECIAL])
            if row in OF_POLICIES and not self.policies:
                raise RequestError(f"the row {row!r} needs `policies` (several are one row over searches)")
        if self.policies and not set(self.rows) & set(OF_POLICIES):
            raise RequestError(f"`policies` is for the rows {', '.join(OF_POLICIES)}: add one of them to `rows`")
        for row in all_methods():
            if row in self.rows and row not in all_methods(kind):
                raise RequestError(f"{row} compares tasks sample by sample: it cannot weigh domains")
        if len(set(self.rows)) != len(self.rows):
            raise RequestError(f"`rows` names a row twice: {', '.join(self.rows)}")
        comparison_values.check_sharing(self.sharing, self.settings)
        if self.splits > 1 and self.csv is None:
            raise RequestError("`splits` is about the rows of a table: a workload has one split")
        if self.splits > 1 and self.policies:
            raise RequestError(
                "`policies` were found on the training rows of one split, which are test rows of the others: compare "
                "them without `splits`; the row random-search searches anew in each"
            )
        if any(not 0 < rate < float("inf") for rate in self.learning_rates):
            raise RequestError(f"`learning_rates` must be positive and finite, got {list(self.learning_rates)}")


def all_methods(kind: str = "multi-task", hard: bool = True) -> list[str]:
    """List the methods that can be a row by name alone.

    Args:
        kind: of the workload.
        hard: False if tasks share parts of an encoder only, so that none can turn the whole representation.
    """
    able = [name for name in methods.names() if kind == "multi-task" or not methods.get(name).same_samples]
    return [name for name in able if name not in NEED_WEIGHTS and (hard or not methods.get(name).has_view)]


def compare(
    request: CompareRequest,
    out: Path,
    command: str,
    resume: bool,
    say: Say | None = None,
    loader: Loader | None = None,
    workers: Workers | None = None,
    finished: Mapping[str, FinishedRun] | None = None,
) -> dict[str, Any]:
    """Run the comparison in ``out``; finished runs are read.

    Args:
        request: the problem, the rows of the table and their seeds.
        out: the comparison's directory, below which each run has its own.
        command: how it is made again, for ``config.yaml``.
        resume: go on with what ``out`` holds.
        say: receives lines of progress.
        loader: of the command, if it reads tables and data besides; default a new one.
        workers: that train side by side; default: this process.
        finished: the runs of :func:`plan`, if they are over already.

    Returns:
        The JSON of ``compare``, and ``found``: a record of every value of every row.

    Raises:
        RequestError: the request is wrong, or ``out`` holds something else.
        RunError: a run failed.
    """
    if workers is not None:
        workers.check(request.device)
    loader = loader or Loader()
    request.check(loader.workload(request).kind)
    context = _context(request, loader)
    score = task_score(request, context.prepared.data)
    sizes = comparison_values.parameters(request, context)
    with held(out):
        asked, table = request.model_dump(mode="json"), context.prepared.fingerprint
        claim(out, "compare", asked, resume, command, table=table)
        context.prepared.keep_table(out)
        values = comparison_values.values(request, context)
        if finished is None:
            finished = execute(
                comparison_values.runs(values), out, command, say, loader, keep_diverged=True, workers=workers
            )
        data = context.prepared.data
        found = [v.record(finished, score, data.names) | _overlap(request, context) for v in values]
        errors = [o.name for o in data.objectives if not o.task.higher_is_better]
        lower = bool(errors) if score is None else score.lower_is_better
        focus = request.focus if request.focus in {v.row for v in values} else None
        found += _simple(request, context, score, out)
        kept = choose_rates(found, lower_is_better=score is None and bool(errors))
        rows = [r | ({"parameters": sizes[n]} if (n := r["method"]) in sizes else {}) for r in comparison.rows(kept)]
        tested = [r for r in kept if r["method"] not in SIMPLE]
        ahead = table_baselines.lead(rows, lower, comparison.display_scale(kept))
        result = {
            "out": str(out),
            "rows": rows,
            "verdicts": verdicts(tested, focus, lower, score.name if score else None) + diverged(kept),
            "workload": request.label,
            "metrics": {o.name: o.task.metric_name for o in data.objectives},
            "lower_is_better": [*errors, "average"] if len(errors) == len(data.names) else errors,
            "runs": [d for r in kept for d in r["directories"]],
            "found": found,
        }
        result |= ({"score": score.to_dict()} if score else {}) | ({"lead": ahead} if ahead else {})
        Manifest(out).write_json("result.json", result)
    return result


def plan(request: CompareRequest, loader: Loader, searches: Sequence[PlannedRun]) -> list[PlannedRun]:
    """Return the runs of a comparison whose policies are still to be found.

    Args:
        request: the comparison, without policies.
        loader: of the command.
        searches: that will find them, in their order.

    Returns:
        The runs, with those searches.

    Raises:
        RequestError: the problem is wrong.
    """
    context = dataclasses.replace(_context(request, loader), searched=searches)
    return [
        *searches,
        *(run for run in comparison_values.runs(comparison_values.values(request, context)) if run not in searches),
    ]


def _context(request: CompareRequest, loader: Loader) -> ComparisonContext:
    prepared = prepare(comparison_values.problems(request.problem(), request.sharing)[0], loader)
    sampling_rows.check(request.rows, prepared.data)
    if request.score == AVERAGE and not prepared.data.has_average:
        raise RequestError(
            f"{request.label}: higher is better for some of its tasks and worse for others, so they have no average to "
            "compare by; choose a `score`, such as one main task, restrict it with `tasks`, or see `scalarize "
            "reproduce` for studies by metric"
        )
    policies = [p.reorder(prepared.data.names) for p in request.policies]
    searched = [(p, float(p.provenance.get("found", {}).get("trainings", 0))) for p in policies]
    scored = {} if request.score == AVERAGE else {"score": request.score, "reference": request.reference}
    numbers = (request.searches, request.population, request.split, request.seed)
    return ComparisonContext(prepared, loader, searched, *numbers, scored=scored)


def _simple(
    request: CompareRequest, context: ComparisonContext, score: TaskScore | None, out: Path
) -> list[dict[str, Any]]:
    """Return records of simple models of the user's own table, at every split."""
    wanted = request.baselines is not False and context.prepared.workload.table is not None
    if not wanted:
        return []
    found = []
    for k in range(request.splits) if request.splits > 1 else [None]:
        here = context if k is None else context.divided(k)
        own = table_baselines.records(here.prepared, score, request.seed, k, out)
        found += [record | _overlap(request, context) for record in own]
    return found


def _overlap(request: CompareRequest, context: ComparisonContext) -> dict[str, float]:
    """Return test rows per training row if there are several splits: what their tests are corrected by."""
    if request.splits == 1:
        return {}
    counts = {"train": 0, "test": 0}
    for domain in context.prepared.data.domains.values():
        counts = {split: count + len(domain.splits[split]) for split, count in counts.items()}
    return {"test_ratio": counts["test"] / counts["train"]}


def public(result: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON of ``compare``, without the single runs, which lie in its directory."""
    return {k: v for k, v in result.items() if k != "found"}


def summary(result: dict[str, Any]) -> str:
    """Return the table and the verdicts as text."""
    scale = comparison.display_scale(result["found"])
    table = text_tables.comparison_table(result["rows"], scale, **comparison.ranking(result))
    metrics = result["metrics"]
    same = set(metrics.values())
    named = f"metric: {same.pop()}" if len(same) == 1 else ", ".join(f"{t}: {m}" for t, m in metrics.items())
    lead = [result["lead"]] if "lead" in result else []
    return "\n".join([*lead, table, named, *result["verdicts"], f"written to {result['out']}"])
