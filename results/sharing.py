"""Architectures times methods on two tables and on pictures, with equal tuning: results/sharing.md.

    python results/sharing.py run --out runs/sharing [--only rand-hie:0,anes96:0] [--minutes M] [--data ROOT]
    python benchmarks/sharing_cost.py > runs/sharing/cost.txt
    python results/sharing.py table --out runs/sharing > results/sharing.md

``run`` is resumable and goes seed by seed over the data sets: each directory is what one ``scalarize compare ...
--sharing ... --seeds 1 --seed S`` makes. No comparison is begun later than M minutes after the start. ``table`` takes
what is finished. Every row has the same learning rates to try; the one with the best mean validation average over the
seeds is reported, and the test split was read once a training.
"""

from __future__ import annotations

import argparse
import functools
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scalarize.analysis import claims, comparison, statistics
from scalarize.runs.build import Loader
from scalarize.runs.compare import CompareRequest, choose_rates, compare
from scalarize.studies.royer2023.search_tables import outer
from scalarize.utils import files
from scalarize.workloads.models.sharing.names import ALL, HARD, VECTORS

BASE = "uniform"
SEEDS = 5
ENOUGH = 3  # seeds; fewer are an illustration
ANSWERS = ("vote", "PID", "selfLR", "ClinLR", "DoleLR", "TVnews")


@dataclass(frozen=True)
class Setting:
    """One data set, and how far it is scaled down from its recipe."""

    name: str
    about: str
    sharing: tuple[str, ...]
    methods: tuple[str, ...]
    epochs: int
    settings: dict[str, Any]
    rates: tuple[float, ...]

    def request(self, seed: int, table: Path | None, root: str | None) -> CompareRequest:
        """One seed of all rows."""
        problem = {"workload": self.name} if table is None else {"csv": str(table), "targets": ANSWERS}
        return CompareRequest(
            **problem,
            data=root,
            epochs=self.epochs,
            settings=self.settings,
            rows=self.methods,
            sharing=self.sharing,
            seeds=1,
            seed=seed,
            learning_rates=self.rates,
            baselines=None if table is None else False,
        )

    @property
    def command(self) -> str:
        """The one command that makes the same runs."""
        what = f"--csv {self.name}.csv --targets {','.join(ANSWERS)} --no-baselines" if self.is_table else self.name
        sets = "".join(f" --set {k}={v}" for k, v in self.settings.items())
        rates = ",".join(f"{r:g}" for r in self.rates)
        return (
            f"scalarize compare {what} --methods {','.join(self.methods)} --sharing {','.join(self.sharing)} "
            f"--seeds {SEEDS} --epochs {self.epochs} --learning-rates {rates}{sets}"
        )

    @property
    def is_table(self) -> bool:
        """True for the stranger's table, which statsmodels ships."""
        return self.name == "anes96"


SETTINGS = {
    s.name: s
    for s in (
        Setting(
            "rand-hie",
            "health insurance experiment, seven tasks on 31 columns (statsmodels)",
            VECTORS,
            (BASE, "inverse-constant", "pcgrad", "famo"),
            4,
            {"batch_size": 512},
            (0.001, 0.003, 0.01, 0.03, 0.1),
        ),
        Setting(
            "anes96",
            "American National Election Study 1996, six answers of 944 persons from five columns (statsmodels)",
            VECTORS,
            (BASE, "inverse-constant", "pcgrad", "famo"),
            8,
            {"batch_size": 64, "model.width": 32, "model.members": 2},
            (0.0003, 0.001, 0.003, 0.01, 0.03),
        ),
        Setting(
            "multi-fashion",
            "two overlaid pictures of clothes, two tasks, a LeNet, 3 % of the pictures",
            ALL,
            (BASE, "pcgrad"),
            6,
            {"batch_size": 128, "data.share": 0.03},
            (0.001, 0.003, 0.01, 0.03),
        ),
    )
}


def table_of(setting: Setting, out: Path) -> Path | None:
    """Write the stranger's table below ``out``; None for a workload."""
    if not setting.is_table:
        return None
    from statsmodels.datasets import anes96

    path = out / f"{setting.name}.csv"
    if not path.exists():
        out.mkdir(parents=True, exist_ok=True)
        anes96.load_pandas().data.to_csv(path, index=False)
    return path


def run(out: Path, only: Sequence[str], minutes: float, root: str | None) -> None:
    """Make what is missing, seed by seed."""
    started, loader = time.monotonic(), Loader()
    wanted = only or [f"{name}:{seed}" for seed in range(SEEDS) for name in SETTINGS]
    for word in wanted:
        name, seed = word.split(":")
        if time.monotonic() - started > 60 * minutes:
            print("out of time before", word, file=sys.stderr)
            return
        place, setting = out / f"{name}-{seed}", SETTINGS[name]
        request = setting.request(int(seed), table_of(setting, out), root)
        compare(request, place, setting.command, resume=True, loader=loader)
        print(word, f"{time.monotonic() - started:.0f} s", file=sys.stderr)


def found(out: Path, name: str) -> tuple[list[dict[str, Any]], dict[str, int], int]:
    """Return the records of all finished seeds at each row's best rate, the rows' parameters, and the seeds."""
    records: list[dict[str, Any]] = []
    sizes: dict[str, int] = {}
    seeds = 0
    for seed in range(SEEDS):
        path = out / f"{name}-{seed}" / "result.json"
        if path.exists():
            result = files.read_json(path)
            records += result["found"]
            sizes |= {row["method"]: row["parameters"] for row in result["rows"]}
            seeds += 1
    return (choose_rates(records) if records else []), sizes, seeds


def shown(values: Sequence[float]) -> str:
    """Mean and half of the 95 % interval, in points."""
    interval = statistics.t_interval(list(values))
    half = "?" if len(values) < 2 else f"{50 * (interval.high - interval.low):.2f}"
    return f"{100 * interval.mean:.2f} ± {half}"


def averages(kept: Sequence[Mapping[str, Any]]) -> dict[str, dict[Any, float]]:
    """Return row -> seed -> test average."""
    return {row: comparison.units(kept, row) for row in comparison.methods_of(kept)}


def rows(setting: Setting, kept: Sequence[Mapping[str, Any]], sizes: Mapping[str, int]) -> list[str]:
    """A row an architecture, a column a method."""
    values = averages(kept)
    lines = [f"| architecture | parameters | {' | '.join(setting.methods)} |"]
    lines.append("| --- | ---: |" + " --- |" * len(setting.methods))
    for name in setting.sharing:
        cells = [shown(list(values[f"{m}@{name}"].values())) for m in setting.methods]
        lines.append(f"| {name} | {sizes[f'{BASE}@{name}']:,} | {' | '.join(cells)} |")
    return lines


def on_trial(of: Mapping[str, tuple[Setting, Sequence[Mapping[str, Any]]]]) -> list[str]:
    """The claims, their parts and verdicts: each architecture above hard sharing, each method above uniform weights."""
    tried: dict[claims.Key, dict[str, claims.IntervalAt]] = {}
    flaws: dict[claims.Key, list[claims.Flaw]] = {}

    def put(claim: str, name: str, pairs: Mapping[str, tuple[str, str]], at_edge: Sequence[str]) -> None:
        tried[claim, name] = {part: above(values, *pair) for part, pair in pairs.items()}
        last = [row for row in at_edge if any(row in pair for pair in pairs.values())]
        if last:
            why = f"the best learning rate of {', '.join(last)} is the last that was tried"
            flaws[claim, name] = [claims.Flaw(why)]

    for name, (setting, kept) in of.items():
        values = averages(kept)
        at_edge = outer(kept, [{"rate": rate} for rate in setting.rates])
        for other in setting.sharing[1:]:
            parts = {m: (f"{m}@{other}", f"{m}@{HARD}") for m in setting.methods}
            put(f"{other} is better than hard sharing", name, parts, at_edge)
        for method in setting.methods[1:]:
            parts = {a: (f"{method}@{a}", f"{BASE}@{a}") for a in setting.sharing}
            put(f"{method} is better than {BASE} weights", name, parts, at_edge)
    table = claims.table(tried, flaws)
    lines = [
        "| claim | data | part | points | 95 % interval | seeds | verdict |",
        "| --- | --- | --- | ---: | --- | ---: | --- |",
    ]
    for row in table.frame.to_dict("records"):
        cells = [row["claim"], row["where"], row["part"], f"{100 * row['mean']:+.2f}"]
        cells += [f"{100 * row['low']:+.2f} to {100 * row['high']:+.2f}", str(row["units"]), row["verdict"]]
        lines.append(f"| {' | '.join(cells)} |")
    return [*(f"- {line}" for line in table.findings), "", *lines]


def above(values: Mapping[str, Mapping[Any, float]], first: str, second: str) -> claims.IntervalAt:
    """Return confidence -> the paired difference first - second."""
    return functools.partial(comparison.difference, values[first], values[second])


def page(out: Path) -> str:
    """Write the page from what is finished."""
    done = {name: found(out, name) for name in SETTINGS}
    lines = [
        "# Architectures times methods",
        "",
        "Made by `python results/sharing.py run` and `table`. Test average x 100 (of areas under the curve, accuracies "
        "and R2, as each task is judged), mean and half of the 95 % interval (Student) over seeds. Every row tried the "
        "same learning rates; the best by mean validation average is shown. Seeds differ in the model and the batches, "
        "not in the split. Trainings are short (the commands below), "
        "so this page says what these budgets show, not what a full training would. Parameters are shown beside: an "
        "architecture has several times those of hard sharing, which no row makes up for, and each has its default "
        "number of experts. What a step costs beside one of hard sharing is below.",
    ]
    for name, (kept, sizes, seeds) in done.items():
        setting = SETTINGS[name]
        lines += ["", f"## {name}: {setting.about}", ""]
        if not kept:
            lines += [f"Not run yet: `{setting.command}`"]
            continue
        few = "" if seeds >= ENOUGH else ", an *illustration*"
        rest = "" if seeds == SEEDS else f" of {SEEDS}; `run` makes the others"
        lines += [f"{seeds} seed{'s' if seeds > 1 else ''}{rest}{few}. `{setting.command}`", ""]
        lines += rows(setting, kept, sizes)
        last = outer(kept, [{"rate": rate} for rate in setting.rates])
        total = len(setting.sharing) * len(setting.methods)
        lines += ["", f"Of {total} rows {len(last)} chose the least or the greatest learning rate tried."]
    judged = {name: (SETTINGS[name], kept) for name, (kept, _, seeds) in done.items() if seeds >= ENOUGH}
    lines += ["", "## Claims on trial", "", claims.RULE, ""]
    lines += on_trial(judged) if judged else ["None: no data set has three seeds yet."]
    lines += ["", "## Cost of a step beside hard sharing", "", *cost(out / "cost.txt")]
    return "\n".join(lines) + "\n"


def cost(path: Path) -> list[str]:
    """Return what the benchmark printed."""
    command = "`python benchmarks/sharing_cost.py`"
    if not path.exists():
        return [f"Not measured yet: {command}."]
    told = "on rand-hie, batch 256, one core: the median over ten interleaved rounds"
    return [f"{command}, {told}.", "", "```text", path.read_text().rstrip("\n"), "```"]


def main() -> None:
    """Run, or print the page."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("what", choices=("run", "table"))
    parser.add_argument("--out", type=Path, default=Path("runs/sharing"))
    parser.add_argument("--only", default="", help="as rand-hie:0,anes96:1")
    parser.add_argument("--minutes", type=float, default=1e9)
    parser.add_argument("--data", help="data root")
    given = parser.parse_args()
    if given.what == "run":
        run(given.out, [w for w in given.only.split(",") if w], given.minutes, given.data)
    else:
        sys.stdout.write(page(given.out))


if __name__ == "__main__":
    main()
