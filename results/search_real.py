"""What searching task weights gains on real data, beside its own start and its rivals.

    python results/search_real.py run
    python results/search_real.py table > results/search-real.md

``run`` makes all that the page reports (``PLAN``), hours of a core; ``--workload``, ``--rows``, ``--searches`` and
``--splits`` choose from it. It is resumable: what is there is read. Trainings have 12 epochs, so that PBT takes 3
decisions: too few for claim C4 of Royer et al. 2023, which is on trial in ``results/royer2023.md``.

The unit of every interval is a search (a split of the data and a seed), whose retrains (3 fresh models, epoch chosen on
validation, test read once) are averaged first; every row uses the same units, so differences are paired. Population,
ready interval and quantile: 12, 3, 40 % unless the row says.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scalarize.analysis import claims, comparison, pareto, statistics, text_tables
from scalarize.analysis.study_tables import StudyTable
from scalarize.runs.build import prepare
from scalarize.runs.comparison_rows import initial_losses, inverse_policy, value_of
from scalarize.runs.plan import Workers
from scalarize.runs.plan import execute as run_plan
from scalarize.runs.request import WorkloadRequest
from scalarize.runs.search import SearchRequest
from scalarize.runs.search import search as run_search
from scalarize.search.algorithms import registry
from scalarize.utils import files
from scalarize.weights.policy import Policy

RETRAINS = 3
REFERENCE = 0.5  # of every metric, in the hypervolume: what a model that knows nothing reaches; fixed beforehand


@dataclass(frozen=True)
class Row:
    """One line of the table: how weights are found, and which history of the policy is retrained."""

    name: str
    search: dict[str, Any] | None = None
    history: str = "full"
    of: str = ""  # retrains another row's search
    fixed: str = ""


def searched(name: str, **request: Any) -> Row:
    return Row(name, {"algorithm": name} | request)


ROWS = [
    Row("uniform", fixed="uniform"),
    Row("inverse-loss", fixed="inverse-loss"),
    Row("inverse-constant", fixed="inverse-constant"),
    searched("random"),
    searched("pbt"),
    Row("pbt, last weights", history="last", of="pbt"),
    Row("pbt, mean weights", history="mean", of="pbt"),
    Row(
        "pbt without exploration",
        {"algorithm": "pbt", "hyper": {"factors": (1.0,), "resample": 0.0}},
    ),
    searched("pb2"),
    searched("mopbt"),
    searched("mfpbt"),
    searched("bo"),
    searched("halving"),
    searched("regression"),
    searched("random x 4", algorithm="random", population=48),
]
POPULATIONS = [
    Row(f"pbt, N = {n}, E_ready = {e}", {"algorithm": "pbt", "population": n, "ready": e})
    for n in (6, 12, 24, 40)
    for e in (3, 5)
    if (n, e) != (12, 3)
]
# What the page reports: a workload, searches a split, and the rows that have so many; none: all rows.
MORE = ("uniform", "inverse-loss", "inverse-constant", "random", "pbt", "pbt, last weights", "pbt, mean weights")
PLAN = (
    ("rand-hie", 5, (*MORE, "pbt without exploration")),
    ("rand-hie", 2, ()),
    ("rand-hie-sites", 2, ()),
)
# What is claimed of searches, what that leaves open, and what of pbt is to be credited; `random` is pbt's first
# generation, trained to the end.
TRIALS = {
    "Searched weights over even ones": [("pbt", "uniform"), ("pb2", "uniform")],
    "Beyond the paper: over weights that need no search": [("pbt", "inverse-loss"), ("pbt", "inverse-constant")],
    "Credit: exploitation over as many trainings at random": [("pbt", "random")],
    "Credit: exploration over exploitation alone": [("pbt", "pbt without exploration")],
    "Credit: the course of the weights over the last": [("pbt", "pbt, last weights")],
}


def units(splits: list[int], searches: int) -> Iterator[tuple[int, int, int]]:
    """(split, search, unit)."""
    for split in splits:
        for k in range(searches):
            yield split, k, 100 * split + k


def problem(workload: str, split: int) -> WorkloadRequest:
    return WorkloadRequest(workload=workload, settings={"data.split_seed": split})


def place(name: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in name)


def find(row: Row, workload: str, split: int, k: int, out: Path, workers: Workers) -> tuple[Policy, float]:
    """The policy of a row's search (made where it is missing) and the trainings that it cost."""
    source = row.of or row.name
    spec = next(r.search for r in [*ROWS, *POPULATIONS] if r.name == source)
    assert spec is not None
    request = SearchRequest(**problem(workload, split).fields(), seed=k, **spec)
    target = out / "searches" / f"{place(source)}-split{split}-{k}"
    found = run_search(request, target, "results/search_real.py", resume=True, workers=workers)
    return Policy.load(target / "policy.json").history(row.history), found["trainings"]


def fixed_source(row: Row, asked: WorkloadRequest, seed: int) -> dict[str, Any]:
    if row.fixed == "inverse-loss":
        return {"policy": inverse_policy(initial_losses(prepare(asked), seed))}
    if row.fixed == "inverse-constant":
        return {"policy": inverse_policy(prepare(asked).data.constant_losses())}
    return {"method": row.fixed}


def execute(
    row: Row, workload: str, splits: list[int], searches: int, out: Path, workers: Workers
) -> list[dict[str, Any]]:
    """Every run of a row."""
    values = []
    for split, k, unit in units(splits, searches):
        asked = problem(workload, split)
        cost, policy = 0.0, None
        if not row.fixed:
            policy, cost = find(row, workload, split, k, out, workers)
        for j in range(RETRAINS):
            seed = 1000 + 10 * k + j
            source = {"policy": policy} if policy else fixed_source(row, asked, seed)
            named = f"{place(row.name)}-split{split}"
            values.append(value_of(asked, named, seed, unit, search_trainings=cost, **source))
    finished = run_plan([run for v in values for run in v.runs], out, "results/search_real.py", workers=workers)
    return [v.record(finished) | {"method": row.name} for v in values]


def chosen(args: argparse.Namespace) -> list[tuple[str, int, list[Row]]]:
    """What ``run`` makes: (workload, searches a split, rows), each row once a workload, the more searches first."""
    asked = [name for name in args.rows.split(";") if name]
    if args.searches and args.workload:
        return [(args.workload, args.searches, [r for r in [*ROWS, *POPULATIONS] if not asked or r.name in asked])]
    found, seen = [], set()
    for workload, searches, named in PLAN:
        rows = [r for r in [*ROWS, *POPULATIONS] if r.name in (named or (r.name,)) and (workload, r.name) not in seen]
        rows = [r for r in rows if not asked or r.name in asked]
        seen |= {(workload, r.name) for r in rows}
        if rows and args.workload in (None, workload):
            found.append((workload, args.searches or searches, rows))
    return found


def run(args: argparse.Namespace) -> None:
    for workload, searches, rows in chosen(args):
        run_rows(args, workload, searches, rows)


def run_rows(args: argparse.Namespace, workload: str, searches: int, rows: list[Row]) -> None:
    """Rows with the same number of searches on one workload."""
    out = Path(args.out) / workload
    splits = [int(s) for s in args.splits.split(",")]
    for row in rows:
        if row.search is not None and row.search["algorithm"] not in registry.names():
            print(f"{row.name}: no such algorithm here", file=sys.stderr)
            continue
        begun = time.perf_counter()
        found = execute(row, workload, splits, searches, out, Workers(args.workers))
        mean = np.mean([r["average"] for r in found])
        print(f"{workload} {row.name}: {100 * mean:.2f} ({time.perf_counter() - begun:.0f} s)", flush=True)
        files.write_json(out / "rows" / f"{place(row.name)}.json", found)


def read(out: Path, rows: list[Row]) -> list[dict[str, Any]]:
    found = []
    for row in rows:
        path = out / "rows" / f"{place(row.name)}.json"
        found += files.read_json(path) if path.exists() else []
    return found


def lineage(out: Path, name: str, split: int, k: int) -> list[dict[str, Any]]:
    return files.read_lines(out / "searches" / f"{place(name)}-split{split}-{k}" / "lineage.jsonl")


def hypervolumes(out: Path, name: str, found: list[dict[str, Any]]) -> list[float]:
    """One a search: of the hold-out metrics of all fully trained members."""
    values = []
    for unit in sorted({r["group"] for r in found if r["method"] == name}):
        rows = lineage(out, name, unit // 100, unit % 100)
        end = max(r["epoch"] for r in rows)
        metrics = [r["metrics"] for r in rows if r["epoch"] == end and None not in r["metrics"]]
        values.append(pareto.hypervolume(np.array(metrics), [REFERENCE] * len(metrics[0])))
    return values


def trials(found: list[dict[str, Any]]) -> StudyTable:
    """Each of ``TRIALS`` whose rows are there, judged by the rule of all claims."""
    values = {name: comparison.units(found, name) for name in comparison.methods_of(found)}

    def over(first: str, second: str) -> claims.IntervalAt:
        return lambda confidence: comparison.difference(values[first], values[second], confidence)

    return claims.table(
        {
            (claim, ""): {f"{a} over {b}": over(a, b) for a, b in pairs}
            for claim, pairs in TRIALS.items()
            if all(name in values for pair in pairs for name in pair)
        }
    )


def shared(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What is of searches that every row has: only there do averages compare."""
    units: dict[str, set[int]] = {}
    for r in found:
        units.setdefault(r["method"], set()).add(r["group"])
    every = set.intersection(*units.values()) if units else set()
    return [r for r in found if r["group"] in every]


def show(found: list[dict[str, Any]]) -> None:
    """A table of the rows."""
    units = {r["group"] for r in found}
    print(f"{len(units)} searches a row over {len({u // 100 for u in units})} splits.\n")
    print("```\n" + text_tables.comparison_table(comparison.rows(found), comparison.display_scale(found)) + "\n```\n")


def quarter(out: Path, found: list[dict[str, Any]]) -> list[tuple[float, float]]:
    """Per unit: best hold-out scores of pbt and of a random search of four times its trainings."""
    scores = []
    for unit in sorted({r["group"] for r in shared([r for r in found if r["method"] in ("pbt", "random x 4")])}):
        best = []
        for name in ("pbt", "random x 4"):
            rows = lineage(out, name, unit // 100, unit % 100)
            end = max(r["epoch"] for r in rows)
            best.append(max(r["score"] for r in rows if r["epoch"] == end and r["score"] is not None))
        scores.append((best[0], best[1]))
    return scores


def table(args: argparse.Namespace) -> None:
    print("# Searching task weights on real data\n\nMade by `python results/search_real.py run` and `table`.")
    print("Trainings have 12 epochs and PBT takes 3 decisions: claim C4 is on trial in royer2023.md, not here.")
    print("Rows that were not run are absent. Test averages x 100; the unit of an interval is a search (split x seed)")
    print("with 3 retrains each.\n")
    for workload in sorted(p.name for p in Path(args.out).iterdir() if (p / "rows").is_dir()):
        out = Path(args.out) / workload
        found = read(out, ROWS)
        print(f"## {workload}\n")
        show(shared(found))
        units = {name: {r["group"] for r in found if r["method"] == name} for name in comparison.methods_of(found)}
        most = max(units.values(), key=len)
        if min(units.values(), key=len) != most:
            print("Rows of more searches; what is said below of pairs is over the searches that both have.\n")
            show([r for r in found if units[r["method"]] == most])
        print(f"{claims.RULE}\n")
        for finding in trials(found).findings:
            print(f"- {finding}")
        print("\nAgainst `pbt`, paired over searches, Holm-corrected:\n")
        for verdict in comparison.compare(found, focus="pbt"):
            if verdict.first == "pbt":
                print(f"- {verdict.sentence}")
        named = [r for r in dict.fromkeys(f["method"] for f in found) if (out / "searches").exists()]
        with_search = [r.name for r in ROWS if r.search and r.name in named]
        if with_search:
            print(f"\nHypervolume of the hold-out metrics of fully trained members (reference {REFERENCE}), x 1e6:\n")
            for name in with_search:
                i = statistics.t_interval(hypervolumes(out, name, shared(found)))
                print(f"- {name}: {1e6 * i.mean:.2f} [{1e6 * i.low:.2f}, {1e6 * i.high:.2f}]")
        if {"pbt", "random x 4"} <= set(named):
            scores = np.array(quarter(out, found))
            gap = statistics.t_interval(scores[:, 0] - scores[:, 1])
            share = statistics.t_interval(scores[:, 0] / scores[:, 1])
            part = f"{100 * share.mean:.1f} % [{100 * share.low:.1f}, {100 * share.high:.1f}]"
            less = f"{100 * gap.mean:+.2f} [{100 * gap.low:+.2f}, {100 * gap.high:+.2f}]"
            print("\nAt a quarter of the trainings of `random x 4`, pbt's best hold-out score is")
            print(f"{part} of that search's; difference x 100: {less} ({gap.n} searches).")
        study = [r for r in found if r["method"] == "pbt"] + read(out, POPULATIONS)
        if len({r["method"] for r in study}) > 1:
            print("\nPopulation study (the row `pbt` is N = 12, E_ready = 3):\n")
            show(shared(study))
            worst = min(v.p for v in comparison.compare(study))
            print(f"Smallest corrected p over all pairs: {worst:.3f}.\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "table"))
    parser.add_argument("--out", default="runs/search-study")
    parser.add_argument("--workload", help="Only this one (default: all of the page)")
    parser.add_argument("--splits", default="0,1,2")
    parser.add_argument("--searches", type=int, help="a split (default: as on the page)")
    parser.add_argument("--rows", default="", help="Only these rows, separated by ;")
    parser.add_argument("--workers", type=int, help="trainings side by side (default: all cores)")
    args = parser.parse_args()
    (run if args.what == "run" else table)(args)


if __name__ == "__main__":
    main()
