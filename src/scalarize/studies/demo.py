"""The main job on real data: searches find policies, fresh models are retrained with them, everything is compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scalarize.runs import search as searching
from scalarize.runs.compare import CompareRequest, compare
from scalarize.runs.plan import Say
from scalarize.weights.policy import Policy

WORKLOAD = "rand-hie"
SEARCHES = 3
RETRAINS = 3
SEEDS = 5
ROWS = ("single", "uniform", "inverse-loss", "inverse-constant", "random-search", "policy", "policy-last")
SEARCH: dict[str, Any] = {"algorithm": "pbt", "population": 12, "ready": 3, "quantile": 0.4, "split": 0.7}


def demo(out: Path, command: str, resume: bool, say: Say | None = None, workload: str = WORKLOAD) -> dict[str, Any]:
    """Run three searches by population-based training, three retrains of each policy, and the six rows to compare with.

    The cost is counted in the table: about 113 trainings' worth of steps in all (our choice: 5 seeds for the fixed
    weights, 3 for single-task models, which train seven models per seed).
    """
    policies = []
    for k in range(SEARCHES):
        target = out / "searches" / f"pbt-{k}"
        asked = searching.SearchRequest(workload=workload, seed=k, **SEARCH)
        searching.search(
            asked, target, command, resume=True, progress=searching.reporter(say, f"search {k + 1}/{SEARCHES}")
        )
        policies.append(Policy.load(target / "policy.json").to_dict())
    fewer = dict.fromkeys(("single", "random-search", "policy", "policy-last"), RETRAINS)
    request = CompareRequest(
        workload=workload,
        rows=ROWS,
        policies=tuple(policies),
        seeds=SEEDS,
        row_seeds=fewer,
        searches=SEARCHES,
        focus="policy",
    )
    return compare(request, out, command, resume, say)
