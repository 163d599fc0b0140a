"""Fresh models trained with the policy that a search found, on the whole training set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scalarize.analysis import comparison, readers, text_tables
from scalarize.runs import tables
from scalarize.runs.build import Loader, prepare
from scalarize.runs.comparison_records import diverged
from scalarize.runs.directory import claim, digest, kind_in_words, read_config
from scalarize.runs.plan import Say, Workers, execute
from scalarize.runs.request import ScoredRequest, WorkloadRequest
from scalarize.runs.row_values import value_of
from scalarize.runs.task_score import AVERAGE, task_score
from scalarize.utils import limits, vouched
from scalarize.utils.errors import RequestError
from scalarize.utils.holding import held
from scalarize.utils.manifest import Manifest


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
    score: str | None = None,
    reference: dict[str, float] | None = None,
    workers: Workers | None = None,
) -> dict[str, Any]:
    """Train fresh models with the policy that a search found.

    Recipe numbers that were searched beside the weights are those of the search's end, unless ``settings`` name them.

    Args:
        directory: the search's.
        history: which part of the policy: full, last or mean.
        seeds: how many models, at least 1.
        seed: of the first of them; the others count on from it.
        changes: other fields of the search's problem (epochs, data root, device).
        settings: other recipe values, so that a large model can be trained with a policy found on a small one.
        out: the directory to write to; None for a directory below the search's.
        command: how it is run again, for ``config.yaml``.
        resume: go on with what ``out`` holds.
        say: receives lines of progress.
        score, reference: by which the epoch of each model is chosen. Default: the search's own.
        workers: that train side by side; default: this process.

    Returns:
        A comparison's result with this one row.

    Raises:
        RequestError: ``directory`` holds no finished search, or the request is wrong.
        RunError: a run failed.
    """
    limits.check("`seeds`", seeds, limits.SEEDS)
    vouched.check(directory, ["config.yaml"])
    config = read_config(directory)
    if config.get("kind") != "search":
        raise RequestError(f"{directory}: holds {kind_in_words(config.get('kind'))}, not a search")
    judged_by = score or config["request"].get("score", AVERAGE)
    if reference and judged_by != "gain":
        raise RequestError(f"`reference` is for the score gain, not for {judged_by}")
    policy = readers.search_policy(directory).history(history)
    asked = {k: v for k, v in config["request"].items() if k in WorkloadRequest.model_fields} | changes
    of_search = asked.get("settings", {})
    if isinstance(of_search, dict):
        asked["settings"] = {k: v for k, v in of_search.items() if k not in policy.numbers} | settings
    problem = WorkloadRequest.read(asked, f"{directory / 'config.yaml'}")
    if workers is not None:
        workers.check(problem.device)
    loader = Loader()
    own = loader.workload(problem).table
    table = None if own is None else own.fingerprint
    if table is not None:
        tables.check_same(config.get("table"), table, f"{directory}")
    asked = {"score": judged_by}
    asked["reference"] = reference or config["request"].get("reference")
    wanted = ScoredRequest.read(problem.fields() | asked, f"{directory / 'config.yaml'}")
    data = prepare(wanted, loader).data
    judge = task_score(wanted, data)
    scored = {} if judge is None else {"score": judge.name, "reference": wanted.reference}
    for key, value in policy.numbers.items():
        if say is not None and key not in settings:
            say(f"{key} = {value:g}, as the search had it in the end")
    row = "policy" if history == "full" else f"policy-{history}"
    values = [
        value_of(problem, row, s, scored=scored, policy=policy, refit=own is not None)
        for s in range(seed, seed + seeds)
    ]
    request = {"policy": policy.to_dict(), "problem": problem.model_dump(mode="json"), "seeds": seeds, "seed": seed}
    request |= scored
    target = out or directory / f"retrain-{history}-{digest(request)}"
    with held(target):
        claim(target, "compare", request, resume, command, table=table)
        runs = [run for value in values for run in value.runs]
        finished = execute(runs, target, command, say, loader, keep_diverged=True, workers=workers)
        found = [value.record(finished, judge, data.names) for value in values]
        result = {
            "out": str(target),
            "rows": comparison.rows(found),
            "verdicts": diverged(found),
            "workload": problem.label,
            "runs": [d for r in found for d in r["directories"]],
            "found": found,
        } | ({"score": judge.to_dict()} if judge else {})
        Manifest(target).write_json("result.json", result)
    return result


def summary(result: dict[str, Any]) -> str:
    """Return the rows as text, and the directory of the runs."""
    scale = comparison.display_scale(result["found"])
    table = text_tables.comparison_table(result["rows"], scale, **comparison.ranking(result))
    return "\n".join([table, *result["verdicts"], f"written to {result['out']}"])
