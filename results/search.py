"""Every search algorithm against random search on three problems whose best weights are known, at equal budget.

    python results/search.py --out results/search.md [--seeds 20 --algorithms pbt,random --store FILE]

Writes the part of the file up to its marker; what follows it (searches on real data) is left alone. ``--store``
keeps finished searches as JSON lines, so that a second call goes on. ``--decide`` instead prints how long each
algorithm takes to decide a generation of 10,000 members and 1,000 tasks.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from scalarize.analysis import statistics, text_tables
from scalarize.search import Setting, Space, create, lineage, names, toy_problems
from scalarize.utils import files

EPOCHS, POPULATION, BASELINE = 12, 12, "random"
MARKER = "<!-- searches on real data: results/search_real.py -->"
HEAD = f"""# Searching task weights

## Where the best weights are known

Made by `python results/search.py --out results/search.md`. Three problems of
`scalarize.search.toy_problems` (four tasks, no network): `stationary` (one point is best), `changing` (the best
weights move during training), `noisy` (scores differ by luck, which clones inherit, and by blur). Each search trains
{POPULATION} times {EPOCHS} epochs in all, decides every 3 epochs, replaces 40 %, and begins spread around uniform
weights.

`value`: the average metric of a fresh, noiseless training with the policy found (1 is best); `last`, `mean`: with its
last or mean weights instead of its course; `distance`: total variation between the policy and the best weights, over
epochs (0 is best); `score - value`: what the search claimed beyond that (noise that it selected). `gain`: value less
that of `{BASELINE}` with the same seed, 95 % interval, p of a paired t-test, Holm-corrected over the rows of a table.
`grid` searches at most three weights, so tasks b and c share one there.
"""


class Found(NamedTuple):
    """One search: what its policy is worth, full, last and mean; its distance; the score it claimed."""

    value: float
    last: float
    mean: float
    distance: float
    score: float


def search(algorithm: str, problem: type[toy_problems.ToyProblem], seed: int) -> Found:
    """One search in memory (the driver's decisions and trainings; see tests/search/test_pbt.py)."""
    judge = problem(seed=0, epochs=EPOCHS)
    groups = (("b", "c"),) if algorithm == "grid" else ()
    space = Space(problem.tasks, groups=groups)
    history = toy_problems.play(
        create(algorithm, Setting(space, epochs=EPOCHS, population=POPULATION, seed=seed)), problem
    )
    spent = sum(int(lineage.epochs_trained(history, told.generation).sum()) for told in history)
    assert spent <= EPOCHS * POPULATION, f"{algorithm} trained {spent} epochs"
    generation, row = lineage.best(history)
    policy = lineage.trace(history, generation, row, problem.tasks, EPOCHS, {})
    values = [judge.value(policy.history(which)) for which in ("full", "last", "mean")]
    return Found(*values, judge.distance(policy), float(history[generation].score[row]))


def searched(algorithm: str, name: str, seeds: int, store: Path | None) -> list[Found]:
    """:func:`search` for every seed; what ``store`` holds is read, what it lacks is added."""
    rows = files.read_lines(store) if store is not None and store.exists() else []
    held = {r["seed"]: Found(*r["found"]) for r in rows if (r["algorithm"], r["problem"]) == (algorithm, name)}
    for seed in (s for s in range(seeds) if s not in held):
        held[seed] = search(algorithm, toy_problems.PROBLEMS[name], seed)
        if store is not None:
            files.append_lines(
                store, [{"algorithm": algorithm, "problem": name, "seed": seed, "found": list(held[seed])}]
            )
    return [held[seed] for seed in range(seeds)]


def table(problem: str, found: dict[str, list[Found]]) -> str:
    """The rows of one problem, the best value first."""
    values = {name: np.array(rows) for name, rows in found.items()}
    base = values[BASELINE][:, 0]
    gaps = {name: statistics.paired_difference(v[:, 0], base) for name, v in values.items() if name != BASELINE}
    corrected = dict(zip(gaps, statistics.holm([gap.p for gap in gaps.values()]), strict=True))
    body = []
    for name in sorted(values, key=lambda n: -values[n][:, 0].mean()):
        means = values[name].mean(axis=0)
        cells = [name, *(f"{x:.3f}" for x in means[:4]), f"{means[4] - means[0]:+.3f}"]
        if name == BASELINE:
            body.append([*cells, "", "", ""])
            continue
        gap, p = gaps[name], corrected[name]
        verdict = "ties" if not p < statistics.ALPHA else "wins" if gap.mean > 0 else "loses"
        body.append([*cells, f"{gap.mean:+.3f} [{gap.low:+.3f}, {gap.high:+.3f}]", f"{p:.3g}", verdict])
    header = ["algorithm", "value", "last", "mean", "distance", "score - value", "gain", "p", "verdict"]
    return f"### {problem}\n\n```\n{text_tables.render(header, body)}\n```\n"


def write(out: Path, text: str) -> None:
    """Replace the part of ``out`` before the marker."""
    rest = out.read_text().partition(MARKER)[2] if out.exists() else "\n"
    files.write_text(out, f"{text}\n{MARKER}{rest}")


def decide(members: int, tasks: int) -> list[tuple[str, float, float]]:
    """Name, CPU seconds of the first decision and of one after it."""
    rows = []
    for name in ("random", "halving", "pbt", "mfpbt"):
        space = Space(tuple(f"t{i}" for i in range(tasks)))
        algorithm = create(name, Setting(space, epochs=EPOCHS, population=members))
        before = time.process_time()
        asked = algorithm.ask()
        first = time.process_time() - before
        score = asked.weights[:, 0]
        algorithm.tell(asked.weights, score)
        before = time.process_time()
        algorithm.ask()
        rows.append((name, first, time.process_time() - before))
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--algorithms", default=",".join(names()))
    parser.add_argument("--store", type=Path)
    parser.add_argument("--decide", action="store_true")
    args = parser.parse_args(arguments)
    if args.decide:
        for name, first, later in decide(10_000, 1_000):
            print(f"{name:10} first {first:.2f} s, later {later:.2f} s")
        return
    wanted = list(dict.fromkeys([BASELINE, *args.algorithms.split(",")]))
    left = [name for name in names() if name not in wanted]
    parts = [HEAD, f"{args.seeds} seeds." + (f" Not run: {', '.join(left)}." if left else "") + "\n"]
    for name in toy_problems.PROBLEMS:
        found = {a: searched(a, name, args.seeds, args.store) for a in wanted}
        parts.append(table(name, found))
        print(parts[-1], flush=True)
    if args.out is not None:
        write(args.out, "\n".join(parts))


if __name__ == "__main__":
    main()
