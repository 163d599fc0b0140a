"""The main job on real data: searches find policies, fresh models are retrained with them, everything is compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from scalarize.analysis import advice_of_rows, advice_words
from scalarize.analysis.advice import Decision
from scalarize.analysis.race_budget import Field
from scalarize.runs.build import Loader
from scalarize.runs.compare import CompareRequest, compare, plan
from scalarize.runs.directory import read_config
from scalarize.runs.plan import FinishedRun, PlannedRun, Say, Workers, execute
from scalarize.runs.search import SearchRequest
from scalarize.utils.errors import RequestError
from scalarize.utils.holding import held
from scalarize.utils.manifest import Manifest
from scalarize.weights.policy import Policy

WORKLOAD = "rand-hie"
SEARCHES = 3
RETRAINS = 3
SEEDS = 5
ROWS = ("single", "uniform", "inverse-loss", "inverse-constant", "random-search", "policy", "policy-last")
FIELD = Field("uniform", ("inverse-loss", "inverse-constant"), "single")
SEARCH: dict[str, Any] = {"algorithm": "pbt", "population": 12, "ready": 3, "quantile": 0.4, "split": 0.7}


def demo(
    out: Path,
    command: str,
    resume: bool,
    say: Say | None = None,
    workload: str = WORKLOAD,
    workers: Workers | None = None,
    train_with: Callable[[str, str], str] = lambda kind, value: f"{kind} {value}".strip(),
) -> dict[str, Any]:
    """Run three searches by population-based training, three retrains of each policy, and the six rows to compare with.

    The cost is counted in the table: about 113 trainings' worth of steps in all (our choice: 5 seeds for the fixed
    weights, 3 for single-task models, which train seven models per seed). They are one plan: nothing waits for what it
    does not need.
    """
    loader = Loader()
    requests = [SearchRequest(workload=workload, seed=k, **SEARCH) for k in range(SEARCHES)]
    searches = [PlannedRun(f"pbt-{k}", asked, directory=f"searches/pbt-{k}") for k, asked in enumerate(requests)]
    fewer = dict.fromkeys(("single", "random-search", "policy", "policy-last"), RETRAINS)
    request = CompareRequest(
        workload=workload, rows=ROWS, seeds=SEEDS, row_seeds=fewer, searches=SEARCHES, focus="policy"
    )
    if not resume and (out / "config.yaml").exists():
        raise RequestError(f"{out}: already holds a run; go on with `resume` or choose another `out`")
    with held(out):
        finished = execute(plan(request, loader, searches), out, command, say, loader, workers=workers)
    asked = request.model_copy(update={"policies": tuple(finished[run.name].policy for run in searches)})
    result = compare(asked, out, command, resume, say, loader, finished=finished)
    return result | {"advice": _advice(out, result, [finished[run.name] for run in searches], train_with)}


def _advice(
    out: Path, result: dict[str, Any], searches: Sequence[FinishedRun], train_with: Callable[[str, str], str]
) -> dict[str, Any]:
    """Advise from these runs alone; write ``advice.json`` and ``policy.json`` beside them."""
    lower, tasks = "average" in result["lower_is_better"], list(result["metrics"])
    advice, course = advice_of_rows.of_rows(result["found"], FIELD, "policy", lower)
    method = FIELD.even if advice.kind is Decision.UNDECIDED else advice.method
    if method == "policy":
        policy = max(searches, key=lambda run: float(run.result["score"])).policy
    elif method in FIELD.rules:
        first = next(r["directories"][0] for r in result["found"] if r["method"] == method)
        policy = Policy.from_dict(read_config(out / first)["request"]["policy"])
    else:
        policy = Policy.constant(dict.fromkeys(tasks, 1.0))
    values = [v for own in course.scores.values() for v in own.values()]
    units = advice_words.units_of(values, False, True)
    trainings = sum(float(row["trainings"]) for row in result["rows"])
    source = ("models", "") if method == FIELD.single else ("policy", str(out / "policy.json"))
    content = advice_words.as_data(advice, FIELD, course, trainings) | {
        "command": train_with(*source),
        "words": advice_words.sentences(advice, FIELD, course, units),
    }
    Manifest(out).write_json("policy.json", policy.to_dict())
    Manifest(out).write_json("advice.json", content)
    return content
