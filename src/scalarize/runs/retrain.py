"""Fresh models trained with the policy that a search found, on the whole training set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scalarize.analysis import comparison, readers, text_tables
from scalarize.runs import directory as run_directory
from scalarize.runs import plan as planned_runs
from scalarize.runs.plan import PlannedRun, Say
from scalarize.runs.request import WorkloadRequest
from scalarize.utils import files
from scalarize.utils.errors import RequestError


def retrain(
    directory: Path,
    history: str,
    seeds: int,
    seed: int,
    changes: dict[str, Any],
    settings: dict[str, Any],
    out: Path | None,
    command: str,
    resume: bool,
    say: Say | None = None,
) -> dict[str, Any]:
    """Train ``seeds`` models with the full, last or mean history of the policy in ``directory``.

    changes: other fields of the search's problem (epochs, data root, device); settings: other recipe values, so that
    a policy found on a small model can be spent on a large one. Recipe numbers that were searched beside the weights
    are those of the search's end, unless ``settings`` name them. Returns the rows of ``compare`` for this one row.
    """
    if seeds < 1:
        raise RequestError(f"--seeds must be at least 1, got {seeds}")
    config = run_directory.read_config(directory)
    if config.get("kind") != "search":
        raise RequestError(f"{directory}: holds {run_directory.kind_in_words(config.get('kind'))}, not a search")
    policy = readers.search_policy(directory).history(history)
    asked = {k: v for k, v in config["request"].items() if k in WorkloadRequest.model_fields} | changes
    held = asked.get("settings", {})
    if isinstance(held, dict):
        asked["settings"] = {k: v for k, v in held.items() if k not in policy.numbers} | settings
    problem = WorkloadRequest.read(asked, f"{directory / 'config.yaml'}")
    for key, value in policy.numbers.items():
        if say is not None and key not in settings:
            say(f"{key} = {value:g}, as the search had it in the end")
    row = "policy" if history == "full" else f"policy-{history}"
    plan = [
        PlannedRun(row, s, [planned_runs.request_for(problem, seed=s, policy=policy.to_dict())])
        for s in range(seed, seed + seeds)
    ]
    request = {"policy": policy.to_dict(), "problem": problem.model_dump(mode="json"), "seeds": seeds, "seed": seed}
    target = out or directory / f"retrain-{history}-{run_directory.digest(request)}"
    files.check_directory(target)
    with files.lock(target):
        run_directory.claim(target, "compare", request, resume, command)
        found = planned_runs.execute(plan, target, command, say)
        result = {
            "out": str(target),
            "rows": comparison.rows(found),
            "verdicts": [],
            "workload": problem.label,
            "runs": [d for r in found for d in r["directories"]],
            "found": found,
        }
        files.write_json(target / "result.json", result)
    return result


def summary(result: dict[str, Any]) -> str:
    """The rows as text, and where the runs are."""
    scale = comparison.display_scale(result["found"])
    return text_tables.comparison_table(result["rows"], scale) + f"\nwritten to {result['out']}"
