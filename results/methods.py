"""Every method beside single models, uniform and inverse losses, on two workloads: results/methods.md.

    python results/methods.py run --out runs/methods [--only rand-hie:0,rand-hie:1]
    python results/methods.py table --out runs/methods > results/methods.md

``run`` is resumable and goes seed by seed, so that it can be stopped at any time: each directory is what ``scalarize
compare W --methods all,single,inverse-loss --seeds 1 --seed S`` makes, and together they are its ``--seeds``. ``table``
takes the seeds that are finished. Every row has the same learning rates to try; the one with the best mean validation
average is reported, the test split was read once a training.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scalarize.analysis import comparison
from scalarize.runs.build import prepare
from scalarize.runs.compare import CompareRequest, all_methods, choose_rates, compare
from scalarize.runs.plan import Workers
from scalarize.studies import step_cost
from scalarize.utils import files

BASE = "uniform"
FIXED = "inverse-loss"  # weights that a rule of thumb gives before the first step, at no cost
BASELINES = ("single", FIXED)
ENOUGH = 3  # seeds; fewer are an illustration


@dataclass(frozen=True)
class Setting:
    """One workload, and how far it is scaled down from its recipe."""

    workload: str
    epochs: int
    settings: dict[str, Any]
    rates: tuple[float, ...]
    seeds: int
    scaled: str

    def request(self, seed: int) -> CompareRequest:
        return CompareRequest(
            workload=self.workload,
            epochs=self.epochs,
            settings=self.settings,
            rows=(BASE, *BASELINES, *(m for m in all_methods() if m != BASE)),
            seeds=1,
            seed=seed,
            learning_rates=self.rates,
        )

    @property
    def command(self) -> str:
        """The one command that makes the same runs."""
        sets = "".join(f" --set {k}={v}" for k, v in self.settings.items())
        rates = ",".join(f"{r:g}" for r in self.rates)
        return (
            f"scalarize compare {self.workload} --methods {BASE},{','.join(BASELINES)},all --epochs {self.epochs}{sets}"
            f" --learning-rates {rates} --seeds {self.seeds}"
        )


SETTINGS = {
    s.workload: s
    for s in (
        Setting(
            "rand-hie",
            12,
            {"batch_size": 512},
            (0.003, 0.006, 0.012),
            5,
            "steps of 512 examples in place of the recipe's 256 (half of the updates)",
        ),
        Setting(
            "multi-fashion",
            3,
            {"batch_size": 64, "data.share": 0.03, "model.dropout": 0.0},
            (0.002, 0.006),
            3,
            "3 % of the pictures (1,440 pairs to train on, 300 to test), 3 epochs in place of 100, so no dropout",
        ),
    )
}
ORDER = (
    *(("rand-hie", seed) for seed in range(3)),
    *(("multi-fashion", seed) for seed in range(3)),
    *(("rand-hie", seed) for seed in (3, 4)),
)


def run(out: Path, order: list[tuple[str, int]], workers: Workers) -> None:
    for workload, seed in order:
        setting, started = SETTINGS[workload], time.monotonic()
        say = lambda text, w=workload, s=seed: print(f"{w} {s}: {text}", file=sys.stderr, flush=True)  # noqa: E731
        compare(setting.request(seed), out / workload / f"seed-{seed}", setting.command, True, say, workers=workers)
        say(f"seed done in {time.monotonic() - started:.0f} s")
        if not (out / workload / "cost.json").exists():
            files.write_json(out / workload / "cost.json", prices(setting))


def prices(setting: Setting) -> dict[str, float]:
    """CPU time of a step of each method to that of the bare loop beside it, median of 5."""
    learner = prepare(setting.request(0).problem()).learner(0)
    names, shared = all_methods(), list(learner.model.shared_parameters())
    candidates = step_cost.balancers(names, shared, learner.data.names)
    forward = step_cost.forward_of(learner.model, learner.data, learner.recipe.batch_size)
    clock = time.process_time
    rows = step_cost.measure(forward, learner.model.parameters(), candidates, 5, clock, memory=False, floor=False)
    return {row["method"]: row["to_bare"] for row in rows}


def read(out: Path, workload: str) -> list[dict[str, Any]]:
    """The runs of all finished seeds, at every learning rate."""
    paths = sorted((out / workload).glob("seed-*/result.json"))
    return [r for path in paths for r in files.read_json(path)["found"]]


def section(out: Path, setting: Setting) -> str:
    """One workload's table and what follows from it."""
    found = read(out, setting.workload)
    if not found:
        return f"## {setting.workload}\n\nNot run.\n"
    kept = choose_rates(found)
    price = files.read_json(out / setting.workload / "cost.json")
    table = {row["method"]: row for row in comparison.rows(kept)}
    verdicts = against(kept, BASE)
    scale = comparison.display_scale(kept)
    rates = {r["method"]: r["rate"] for r in kept}
    seeds = len({r["seed"] for r in kept})
    lines = [
        f"## {setting.workload}" + ("" if seeds >= ENOUGH else ": an illustration"),
        "",
        f"    {setting.command.replace(f'--seeds {setting.seeds}', f'--seeds {seeds}')}",
        "",
        f"Scaled: {setting.scaled}. {seeds} seeds of one split. Each row had {len(setting.rates)} learning "
        f"rate{'s' if len(setting.rates) > 1 else ''} to try.",
        "",
        f"| row | average, 95 % | rate | trainings | step / bare step | against {BASE} | p | Holm p |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name in sorted(table, key=lambda n: -table[n]["average"]["mean"]):
        mean, low, high = (table[name]["average"][k] for k in ("mean", "low", "high"))
        interval = "" if low is None else f" ({scale * low:.2f} to {scale * high:.2f})"
        cells = [name, f"{scale * mean:.2f}{interval}", f"{rates[name]:g}", f"{table[name]['trainings']:g}"]
        # A row of the baselines steps as the base does; `single` takes as many models as tasks.
        cells.append(f"{price[name]:.2f}" if name in price else f"{price[BASE]:.2f}")
        v = verdicts.get(name)
        cells += ["", "", ""] if v is None else [_gap(v, scale), _p(v.difference.p), _p(v.p)]
        lines.append("| " + " | ".join(cells) + " |")
    edges = [sum(r == edge for r in rates.values()) for edge in (min(setting.rates), max(setting.rates))]
    note = f"- {edges[1]} rows chose the largest rate that was tried, {edges[0]} the smallest: these may want others."
    said = [note, *("- " + conclusion(against(kept, base), base, seeds, scale) for base in (BASE, FIXED))]
    return "\n".join([*lines, "", *said, ""])


def against(kept: list[dict[str, Any]], base: str) -> dict[str, comparison.Verdict]:
    """The verdict on every other row beside ``base``, by its name."""
    return {v.second: v for v in comparison.compare(kept, base) if v.first == base}


def conclusion(verdicts: dict[str, comparison.Verdict], base: str, seeds: int, scale: float) -> str:
    """The plain sentence, from the verdicts alone."""
    better = [n for n, v in verdicts.items() if v.outcome == "loses"]
    worse = [n for n, v in verdicts.items() if v.outcome == "wins"]
    rest = f"and the other {len(verdicts) - len(better) - len(worse)} cannot be told from it with {seeds} seeds"
    # A smallest difference is known only where a row's differences vary.
    seen = sorted(v.detectable for v in verdicts.values() if v.detectable == v.detectable)
    if seen:
        rest += (
            f"; in half of the rows a true difference below {scale * seen[len(seen) // 2]:.2f} would often be missed"
        )
    said = [
        f"Of {len(verdicts)} rows, {len(better)} are better than {base} after Holm's correction"
        + (f" ({', '.join(better)})" if better else ""),
        f"{len(worse)} are worse" + (f" ({', '.join(worse)})" if worse else ""),
        f"{rest}.",
    ]
    return ", ".join(said)


def _gap(v: comparison.Verdict, scale: float) -> str:
    d = v.difference
    if d.low is None or d.low != d.low:
        return f"{-scale * d.mean:+.2f}"
    return f"{-scale * d.mean:+.2f} ({-scale * d.high:+.2f} to {-scale * d.low:+.2f})"


def _p(p: float) -> str:
    return "-" if p != p else "< 0.001" if p < 0.001 else f"{p:.3f}"


HEAD = f"""# Every method on two workloads

    python results/methods.py run --out runs/methods
    python results/methods.py table --out runs/methods > results/methods.md

Test metric x 100, mean over tasks, higher is better; Student's t interval over seeds. All methods with the defaults
of their docstrings, beside `single` (a model a task) and `inverse-loss` (fixed weights inverse to the first losses).
The learning rate is chosen on validation for each row, the epoch for each run; the test split was read once.
*Against {BASE}*: the row minus {BASE}, paired by seed, with its 95 % interval; p of the paired t test, and the same
after Holm's correction over all rows. *step / bare step*: CPU time of a step (without the optimiser) to a bare loop's
beside it in one process, median of 5.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["run", "table"])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", help="workload:seed,... in this order")
    parser.add_argument("--workers", type=int, help="trainings side by side (default: all cores)")
    options = parser.parse_args()
    if options.what == "table":
        print("\n".join([HEAD, *(section(options.out, s) for s in SETTINGS.values())]), end="")
        return
    order = [(w, int(s)) for w, s in (x.split(":") for x in options.only.split(","))] if options.only else list(ORDER)
    run(options.out, order, Workers(options.workers))


if __name__ == "__main__":
    main()
