"""What a search saves that starts from a policy found on a smaller model of the family (Royer et al. 2023, 4.1).

    python results/search_start.py --out results/search-start.md --store runs/search-start

For every split of the data and seed: a search of 12 members on a narrower network for half as many epochs; then
searches on the full one, from the default centre and from that policy (``--start``), with 12 members and with 6.
Resumable: what ``--store`` holds is read.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scalarize.analysis import statistics, text_tables
from scalarize.runs.comparison_rows import value_of
from scalarize.runs.plan import Workers, execute
from scalarize.runs.request import WorkloadRequest
from scalarize.runs.search import HoldoutFactory, SearchRequest
from scalarize.runs.search import search as run_search
from scalarize.utils import files
from scalarize.weights.policy import Policy

SMALL = {"model.widths": [16]}
SMALL_EPOCHS, EPOCHS = 6, 12
SPLIT = 0.7  # of the training set that members train on
ROUNDS = 7
COMMAND = "results/search_start.py"
ARMS = {"default, N = 12": (12, False), "start, N = 12": (12, True), "default, N = 6": (6, False)} | {
    "start, N = 6": (6, True)
}


def problems(workload: str, split: int) -> tuple[WorkloadRequest, WorkloadRequest]:
    """The small one and the full one."""
    full = WorkloadRequest(workload=workload, settings={"data.split_seed": split}, epochs=EPOCHS)
    return full.model_copy(update={"settings": dict(full.settings) | SMALL, "epochs": SMALL_EPOCHS}), full


def cost_of_small(workload: str) -> list[float]:
    """Processor time of a training of the small problem over that of the full one, round by round."""
    ratios = []
    for seed in range(ROUNDS + 1):
        spent = []
        for problem in problems(workload, 0):
            learner = HoldoutFactory(problem, SPLIT)(seed)
            policy = Policy.constant(dict.fromkeys(learner.tasks, 1 / len(learner.tasks)), 1)
            before = time.process_time()
            learner.train(policy, problem.epochs or 0)
            spent.append(time.process_time() - before)
        ratios.append(spent[0] / spent[1])
    return ratios[1:]  # the first loads much that later ones find loaded


def search(problem: WorkloadRequest, out: Path, workers: Workers | None, **more: Any) -> dict[str, Any]:
    """A search in ``out``, or what is there of it."""
    request = SearchRequest(algorithm="pbt", **(problem.fields() | more))
    return run_search(request, out, COMMAND, resume=True, workers=workers)


def unit(
    workload: str, split: int, seed: int, store: Path, workers: Workers | None = None
) -> dict[str, dict[str, float]]:
    """By arm: the score on the hold-out, the test average of a fresh model, trainings spent."""
    small, full = problems(workload, split)
    place = store / workload / f"split{split}-seed{seed}"
    before = search(small, place / "small", workers, seed=seed)
    start = Policy.load(place / "small" / "policy.json")
    found = {"small": {"score": before["score"], "test": float("nan"), "trainings": before["trainings"]}}
    for name, (members, from_policy) in ARMS.items():
        target = place / name.replace(" ", "").replace(",", "-").replace("=", "")
        begin = start if from_policy else None
        result = search(full, target, workers, seed=seed, population=members, start=begin)
        value = value_of(full, "policy", 1000 + seed, policy=Policy.load(target / "policy.json"))
        retrained = value.record(execute(value.runs, target, COMMAND))
        found[name] = {"score": result["score"], "test": retrained["average"], "trainings": result["trainings"]}
    return found


def report(command: str, units: Sequence[dict[str, dict[str, float]]], ratios: Sequence[float]) -> str:
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
    spent = {arm: sum(u[arm]["trainings"] for u in units) for arm in ("small", *ARMS)}
    ratio = statistics.t_interval(ratios)
    share = ratio.mean * spent["small"] / spent["default, N = 12"]
    halved = share + spent["start, N = 6"] / spent["default, N = 12"]
    lines = [
        "# What a start from a smaller model saves",
        "",
        f"Made by `{command}`: {len(units)} units, each a",
        "split of the data and a seed. Each first searches a network of one layer of 16 units",
        f"for {SMALL_EPOCHS} epochs with 12 members; the searches below are on two layers of 64 for {EPOCHS} epochs.",
        "Means x 100 with 95 % intervals over units; `test`: one fresh model on the whole training set.",
        "Differences are paired by unit.",
        "",
        "```",
        text_tables.render(["search", "members", "score on the hold-out", "test"], body),
        "```",
        "",
        f"A small training takes {ratio.mean:.2f} [{ratio.low:.2f}, {ratio.high:.2f}] of the processor time of a full",
        f"one ({len(ratios)} of each, in turns). So the small search costs {share:.0%} of the default one with 12",
        f"members, and with a started one of 6 members after it {halved:.0%}.",
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
    parser.add_argument("--workers", type=int, help="members side by side (default: all cores)")
    args = parser.parse_args()
    units = []
    for split in range(args.splits):
        for seed in range(args.seeds):
            units.append(unit(args.workload, split, seed, args.store, Workers(args.workers)))
            print(split, seed, units[-1], flush=True)
    command = f"python results/search_start.py --out {args.out} --store {args.store} --workload {args.workload}"
    command += f" --splits {args.splits} --seeds {args.seeds}"
    files.write_text(args.out, report(command, units, cost_of_small(args.workload)))


if __name__ == "__main__":
    main()
