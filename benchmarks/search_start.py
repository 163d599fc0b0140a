"""What a search saves that starts from a policy found on a smaller model of the family (Royer et al. 2023, 4.1).

    python benchmarks/search_start.py --out results/search-start.md --store runs/search-start

For every split of the data and seed: a search of 12 members on a narrower network for half as many epochs; then
searches on the full one, from the default centre and from that policy (``--start``), with 12 members and with 6.
Resumable: what ``--store`` holds is read.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from scalarize import files
from scalarize.analysis import statistics, tables
from scalarize.policy import Policy
from scalarize.requests import Problem
from scalarize.studies import runs, searching
from scalarize.studies.runs import PlannedRun

SMALL = {"model.widths": [16]}
SMALL_EPOCHS, EPOCHS = 6, 12
COMMAND = "benchmarks/search_start.py"
ARMS = {"default, N = 12": (12, False), "start, N = 12": (12, True), "default, N = 6": (6, False)} | {
    "start, N = 6": (6, True)
}


def search(problem: Problem, out: Path, **more: Any) -> dict[str, Any]:
    """A search in ``out``, or what is there of it."""
    asked = {name: getattr(problem, name) for name in Problem.model_fields}
    return searching.search(searching.SearchRequest(algorithm="pbt", **(asked | more)), out, COMMAND, resume=True)


def unit(workload: str, split: int, seed: int, store: Path) -> dict[str, dict[str, float]]:
    """By arm: the score on the hold-out, the test average of a fresh model, full trainings, seconds of training."""
    full = Problem(workload=workload, settings={"data.split_seed": split}, epochs=EPOCHS)
    small = full.model_copy(update={"settings": dict(full.settings) | SMALL, "epochs": SMALL_EPOCHS})
    place = store / workload / f"split{split}-seed{seed}"
    before = search(small, place / "small", seed=seed)
    start = Policy.load(place / "small" / "policy.json").to_dict()
    found = {"small": {"score": before["score"], "test": float("nan"), "seconds": before["seconds_training"]}}
    for name, (members, from_policy) in ARMS.items():
        target = place / name.replace(" ", "").replace(",", "-").replace("=", "")
        result = search(full, target, seed=seed, population=members, start=start if from_policy else None)
        policy = Policy.load(target / "policy.json").to_dict()
        planned = PlannedRun("policy", 1000 + seed, [runs.request_for(full, seed=1000 + seed, policy=policy)])
        (retrained,) = runs.execute([planned], target, COMMAND)
        found[name] = {"score": result["score"], "test": retrained["average"], "seconds": result["seconds_training"]}
    return found


def report(workload: str, units: list[dict[str, dict[str, float]]], splits: int) -> str:
    """The whole of the file."""

    def column(arm: str, what: str) -> list[float]:
        return [100 * u[arm][what] for u in units]

    body = []
    for arm, (members, _) in ARMS.items():
        cells = [arm, str(members)]
        for what in ("score", "test"):
            i = statistics.t_interval(column(arm, what))
            cells.append(f"{i.mean:.2f} [{i.low:.2f}, {i.high:.2f}]")
        body.append(cells)
    seconds = {arm: sum(u[arm]["seconds"] for u in units) for arm in ("small", *ARMS)}
    share = seconds["small"] / seconds["default, N = 12"]
    halved = (seconds["small"] + seconds["start, N = 6"]) / seconds["default, N = 12"]
    lines = [
        "# What a start from a smaller model saves",
        "",
        f"Made by `python benchmarks/search_start.py --out results/search-start.md` on `{workload}`:",
        f"{len(units)} units over {splits} splits of the data. Each first searches a network of one layer of 16 units",
        f"for {SMALL_EPOCHS} epochs with 12 members; the searches below are on two layers of 64 for {EPOCHS} epochs.",
        "Means x 100 with 95 % intervals over units; `test`: one fresh model on the whole training set.",
        "Differences are paired by unit.",
        "",
        "```",
        tables.render(["search", "members", "score on the hold-out", "test"], body),
        "```",
        "",
        f"The small search took {share:.0%} of the training time of the default one with 12 members;",
        f"small search and a started one with 6 members together {halved:.0%}.",
        "",
    ]
    for first, second in (
        ("start, N = 12", "default, N = 12"),
        ("start, N = 6", "default, N = 6"),
        ("start, N = 6", "default, N = 12"),
    ):
        for what in ("score", "test"):
            gap = statistics.paired_difference(column(first, what), column(second, what))
            interval = f"{gap.mean:+.2f} [{gap.low:+.2f}, {gap.high:+.2f}], p = {gap.p:.2f}"
            lines.append(f"- {what}, `{first}` less `{second}`: {interval}")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--store", type=Path, default=Path("runs/search-start"))
    parser.add_argument("--workload", default="rand-hie")
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    units = []
    for split in range(args.splits):
        for seed in range(args.seeds):
            units.append(unit(args.workload, split, seed, args.store))
            print(split, seed, units[-1], flush=True)
    files.write_text(args.out, report(args.workload, units, args.splits))


if __name__ == "__main__":
    main()
