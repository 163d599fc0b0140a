"""One model for the whole front beside T + 8 separate trainings, at equal compute: results/fronts.md.

    python results/fronts.py run --out runs/fronts [--only pair:0,seven:0] [--seconds 1200]
    python results/fronts.py table --out runs/fronts > results/fronts.md

``run`` is resumable: each unit is a setting, a seed and a row, and its points are kept as JSON. ``--seconds`` begins no
further unit after that many seconds of CPU. The separate trainings weigh the losses by T + 8 preferences (of
``scalarize.weights.design``), one each. A front trains for as many steps as they do together, and is measured at the
same preferences; its best epoch by the time that it had used their CPU seconds is measured, too.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from scalarize import methods
from scalarize.analysis import claims, pareto, statistics
from scalarize.analysis.optimiser_claims import part
from scalarize.runs.build import prepare
from scalarize.runs.request import TrainRequest
from scalarize.utils import files
from scalarize.weights.design import design

FRONTS = ("palora", "phn")
SEPARATE = "separate"
SEEDS = 5
ENOUGH = 3  # seeds; fewer are an illustration


@dataclass(frozen=True)
class Setting:
    """A workload, how far it is scaled down."""

    workload: str
    tasks: tuple[str, ...]
    epochs: int  # of a separate training
    settings: dict[str, Any]
    scaled: str
    doubt: str = ""  # why a front that covers more is no reason to train one

    def request(self, seed: int, **more: Any) -> TrainRequest:
        own = self.settings | {f"model.{key}": value for key, value in more.items()}
        return TrainRequest(workload=self.workload, tasks=self.tasks, settings=own, method="uniform", seed=seed)


HALF = {"batch_size": 512}
SETTINGS = {
    "pair": Setting(
        "rand-hie",
        ("any-mental", "log-outpatient"),
        6,
        HALF,
        "the first task with two classes and the first with numbers, named before any run; 6 epochs in place of 12, "
        "batches of 512 in place of 256; area under the curve and rank agreement",
    ),
    "seven": Setting(
        "rand-hie",
        (),
        3,
        HALF,
        "all seven tasks; 3 epochs in place of 12, batches of 512 in place of 256; area under the curve and rank "
        "agreement",
    ),
    "multi-fashion": Setting(
        "multi-fashion",
        (),
        10,
        {"batch_size": 64, "data.share": 0.05, "model.dropout": 0.0},
        "5 % of the pictures, 10 epochs in place of 100; accuracy",
    ),
    "gettext": Setting(
        "gettext-fr-ro",
        (),
        3,
        {"data.epoch": 1024, "data.measured": 200, "data.beams": 0},
        "English to French and to Romanian; 1,024 pairs an epoch, 3 epochs, the first 200 pairs of a split measured; "
        "the likelihood of a token, which is the exponential of minus the cross-entropy: it is higher if better, and "
        "0 for the worst",
        "96 updates leave a separate training far from its end, and one model wins by training ten times as long",
    ),
}
ORDER = [
    *((name, seed) for name in SETTINGS for seed in range(ENOUGH)),
    *((name, seed) for seed in range(ENOUGH, SEEDS) for name in SETTINGS),
]


def unit(setting: Setting, seed: int, row: str, budget: float | None) -> dict[str, Any]:
    """Run one row of one seed: its points on test by preference, and its cost."""
    base = prepare(setting.request(seed))
    tasks = len(base.data.names)
    preferences, points = design(tasks, tasks + 8), []
    if row == SEPARATE:
        seconds, steps = 0.0, 0
        for wanted in preferences:
            chosen = Chosen(base.learner(seed), wanted)
            chosen.train(methods.constant(wanted.tolist()), setting.epochs)
            seconds, steps = seconds + chosen.seconds, steps + chosen.learner.step
            points.append(measured(chosen.best()))
        return {"points": points, "seconds": seconds, "steps": steps}
    network = prepare(setting.request(seed, front=row))
    chosen = Chosen(network.learner(seed), preferences[0] * 0 + 1 / tasks)
    early: dict[str, Any] | None = None

    def look() -> None:
        nonlocal early
        if early is None and budget is not None and chosen.seconds >= budget:
            early = {"points": at(chosen.best(network.learner(seed)), preferences)} | chosen.cost()

    chosen.train(methods.create("uniform"), setting.epochs * len(preferences), look)
    found = chosen.cost() | {"points": at(chosen.best(), preferences)}
    return found | {"early": early or dict(found)}


class Chosen:
    """A training, the CPU seconds of its steps, and the epoch that is best on validation, as ``scalarize train``
    chooses it: by the metrics' mean, with the weights that are asked for."""

    def __init__(self, learner: Any, weights: Any) -> None:
        self.learner, self.weights, self.seconds = learner, np.asarray(weights), 0.0
        self._best: tuple[float, int, dict[str, Any]] = (-np.inf, 0, {})

    def train(self, method: Any, epochs: int, after: Callable[[], None] = lambda: None) -> None:
        while self.learner.epoch < epochs:
            started = time.process_time()
            self.learner.train(method, self.learner.epoch + 1)
            self.seconds += time.process_time() - started
            score = float(self.weights @ list(self.learner.evaluate("validation").values()))
            if not self._best[2] or score > self._best[0]:
                state = {k: v.clone() for k, v in self.learner.model.state_dict().items()}
                self._best = (score, self.learner.epoch, state)
            after()

    def best(self, learner: Any = None) -> Any:
        """The learner, or another one, with the best weights."""
        learner = learner or self.learner
        learner.model.load_state_dict(self._best[2])
        return learner

    def cost(self) -> dict[str, Any]:
        return {"seconds": self.seconds, "steps": self.learner.step, "epoch": self._best[1]}


def measured(learner: Any) -> list[float]:
    """The metrics of all tasks on test, as numbers of which higher is better: exp(-x) of a cross-entropy x."""
    higher = {o.name: o.task.higher_is_better for o in learner.data.objectives}
    values = {name: float(v["metric"]) for name, v in learner.measure("test").items()}
    return [value if higher[name] else math.exp(-value) for name, value in values.items()]


def at(learner: Any, preferences: Sequence[Any]) -> list[list[float]]:
    """The metrics on test at each preference."""
    found = []
    for wanted in preferences:
        learner.model.choose(wanted.tolist())
        found.append(measured(learner))
    learner.model.choose(None)
    return found


def run(out: Path, order: Sequence[tuple[str, int]], limit: float) -> None:
    for name, seed in order:
        for row in (SEPARATE, *FRONTS):
            path = out / name / f"seed-{seed}" / f"{row}.json"
            if path.exists():
                continue
            if time.process_time() > limit:
                return
            separate = path.with_name(f"{SEPARATE}.json")
            budget = files.read_json(separate)["seconds"] if separate.exists() else None
            found = unit(SETTINGS[name], seed, row, budget)
            path.parent.mkdir(parents=True, exist_ok=True)
            files.write_json(path, found)
            print(f"{name} {seed} {row}: {found['seconds']:.0f} s of CPU", file=sys.stderr, flush=True)


def volume(points: Sequence[Sequence[float]]) -> float:
    """The hypervolume, from 0 on, of the points whose values are all numbers; higher is better in each."""
    known = [p for p in points if np.isfinite(p).all()]
    return pareto.hypervolume(known, [0.0] * len(points[0]), maximise=True) if known else 0.0


def read(out: Path, name: str) -> pd.DataFrame:
    """Rows of the seeds that are whole: row, seed, volume, points not dominated, seconds, steps."""
    found = []
    for place in sorted((out / name).glob("seed-*")):
        paths = [place / f"{row}.json" for row in (SEPARATE, *FRONTS)]
        if not all(path.exists() for path in paths):
            continue
        for path in paths:
            content = files.read_json(path)
            kinds: Mapping[str, Any] = {"": content} | ({"early": content["early"]} if "early" in content else {})
            for kind, own in kinds.items():
                row = path.stem if path.stem == SEPARATE else f"{path.stem}, equal {'seconds' if kind else 'steps'}"
                known = [p for p in own["points"] if np.isfinite(p).all()]
                found.append(
                    {"row": row, "seed": int(place.name.removeprefix("seed-"))}
                    | {"volume": volume(own["points"])}
                    | {"kept": int(pareto.nondominated(known).sum()), "points": len(own["points"])}
                    | {"best": float(np.mean(np.max(known, axis=0)))}
                    | {key: own[key] for key in ("seconds", "steps")}
                )
    return pd.DataFrame(found)


def section(name: str, frame: pd.DataFrame) -> str:
    setting = SETTINGS[name]
    if frame.empty:
        return f"## {name}\n\nNot run.\n"
    seeds = frame["seed"].nunique()
    lines = [
        f"## {name}" + ("" if seeds >= ENOUGH else ": an illustration"),
        "",
        f"`{setting.workload}`: {setting.scaled}. {seeds} seeds.",
        "",
        "| row | hypervolume, 95 % | against separate, 95 % | best of a task, mean | not dominated | steps | CPU s |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    wide = frame.pivot_table(index="seed", columns="row", values="volume")
    unit_of = 10.0 ** np.floor(np.log10(max(float(wide[SEPARATE].mean()), 1e-12)))
    for row in [SEPARATE, *sorted(r for r in wide.columns if r != SEPARATE)]:
        own = frame[frame["row"] == row]
        cells = [row, interval(wide[row] / unit_of)]
        cells.append("" if row == SEPARATE else interval((wide[row] - wide[SEPARATE]) / unit_of, signed=True))
        cells += [f"{own['best'].mean():.4f}", f"{own['kept'].mean():.1f} of {own['points'].iloc[0]}"]
        cells += [f"{own['steps'].mean():.0f}", f"{own['seconds'].mean():.1f}"]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", f"Hypervolumes in units of {unit_of:g}."]
    return "\n".join(lines) + "\n"


def interval(values: pd.Series[float], signed: bool = False) -> str:
    found = statistics.t_interval(values.tolist())
    sign = "+" if signed else ""
    return f"{found.mean:{sign}.3f} ({found.low:{sign}.3f} to {found.high:{sign}.3f})"


def page(out: Path) -> str:
    frames = {name: read(out, name) for name in SETTINGS}
    parts: dict[claims.Key, dict[str, Any]] = {}
    flaws: dict[claims.Key, list[claims.Flaw]] = {}
    for name, frame in frames.items():
        if frame.empty or frame["seed"].nunique() < ENOUGH:
            continue
        wide = frame.pivot_table(index="seed", columns="row", values="volume")
        for front in FRONTS:
            for what in ("seconds", "steps"):
                gap = wide[f"{front}, equal {what}"] - wide[SEPARATE]
                claim = f"One model ({front}) covers more than T + 8 trainings at equal {what}"
                parts[claim, name] = {"hypervolume, front minus separate": part(gap)}
                flaws[claim, name] = [claims.Flaw(doubt)] if (doubt := SETTINGS[name].doubt) else []
    judged = claims.table(parts, flaws)
    head = [
        "# One model for the whole front",
        "",
        "    python results/fronts.py run --out runs/fronts",
        "    python results/fronts.py table --out runs/fronts > results/fronts.md",
        "",
        "One model conditioned on the preference beside T + 8 trainings with fixed weights, one each preference;",
        "all are measured on the test split at the same T + 8 preferences. The learning rate is the recipe's,",
        "nothing is tuned; the epoch is the best on validation (of a front, of the metrics' mean at the uniform",
        "preference; of a separate training, of their sum weighted by its preference). A front may train for as",
        "many steps as the separate trainings together; `equal seconds` is the best of its epochs until it had used",
        "their CPU seconds (a core's process time, in training alone). The hypervolume is moocore's, of metrics of",
        "which higher is better, from 0 on: with a corner at chance some separate trainings of seven tasks, each of",
        "which leaves a task below chance, have no volume. Points with a value that is no number are left out.",
        "",
    ]
    verdicts = ["## Verdicts", "", claims.RULE, "", *(f"- {line}" for line in judged.findings), ""]
    left = [
        "## Left out",
        "",
        "Trainings of a recipe's length, the other pairs of `gettext` (a setting of `SETTINGS` for a pair makes the",
        "same table), GPUs, and fronts trained with anything but the weighted sum.",
        "",
    ]
    return "\n".join([*head, *(section(n, f) for n, f in frames.items()), *verdicts, *left]).rstrip() + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "table"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", default="", help="SETTING:SEED,...")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="of CPU")
    given = parser.parse_args()
    if given.what == "table":
        sys.stdout.write(page(given.out))
        return
    asked = [(n, int(s)) for n, _, s in (word.partition(":") for word in given.only.split(",") if word)]
    run(given.out, asked or ORDER, given.seconds)


if __name__ == "__main__":
    main()
