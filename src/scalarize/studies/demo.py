"""The main job on real data: searches find policies, fresh models are retrained with them, everything is compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scalarize.runs.build import Loader
from scalarize.runs.compare import CompareRequest, compare, plan
from scalarize.runs.plan import PlannedRun, Say, Workers, execute
from scalarize.runs.search import SearchRequest
from scalarize.utils.errors import RequestError
from scalarize.utils.holding import held

WORKLOAD = "rand-hie"
SEARCHES = 3
RETRAINS = 3
SEEDS = 5
ROWS = ("single", "uniform", "inverse-loss", "inverse-constant", "random-search", "policy", "policy-last")
SEARCH: dict[str, Any] = {"algorithm": "pbt", "population": 12, "ready": 3, "quantile": 0.4, "split": 0.7}


def demo(
    out: Path,
    command: str,
    resume: bool,
    say: Say | None = None,
    workload: str = WORKLOAD,
    workers: Workers | None = None,
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
    return compare(asked, out, command, resume, say, loader, finished=finished)
