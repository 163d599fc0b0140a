"""Tables 1 and 2: the number of pairs of sentences, and size and speed by depth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from scalarize import methods
from scalarize.analysis.study_tables import StudyTable
from scalarize.learners.supervised import SupervisedLearner
from scalarize.studies import axes
from scalarize.studies.study import Context, StudyResults
from scalarize.studies.xin2022 import reported, translation
from scalarize.studies.xin2022.grids import shares
from scalarize.utils.clocks import clock_of

STEPS, ROUNDS = 20, 3  # of a measurement of speed
SPLITS = ("train", "validation", "test")


def sources(found: StudyResults) -> list[StudyTable]:
    """Return table 1: the samples of each domain beside the paper's, and if the data here are those of the paper.

    Sentences that are too long and left out are counted, too.
    """
    data = found.context.data
    pairs, left_out = data.info.get("pairs", {}), data.info.get("left out", {})
    rows, said = [], []
    for name, domain in data.domains.items():
        counts = {s: pairs.get(f"{name} {s}", len(domain.splits[s])) for s in SPLITS if s in domain.splits}
        lost = {f"{s} left out": left_out[f"{name} {s}"] for s in SPLITS if f"{name} {s}" in left_out}
        paper = reported.TABLE_1.get(name, {}) if found.context.workload.name in reported.PAIRS else {}
        rows.append({"row": name, **counts, **lost, **paper})
        if paper:
            wanted = {"train": paper["paper train"], "test": paper["paper eval"]}
            wrong = [f"{s} {counts[s]:,} (the paper: {n:,})" for s, n in wanted.items() if counts.get(s) != n]
            said.append(f"{name}: {', '.join(wrong) or 'as many pairs as in the paper'}.")
    note = "Pairs by split, those left out for their length included; the paper's evaluation set is our test split."
    return [StudyTable("table-1", "Sources of data", pd.DataFrame(rows), note, tuple(said))]


def speed(found: StudyResults) -> list[StudyTable]:
    """Return table 2: parameters and steps per second by depth, and of the smallest model with per-task gradients."""
    context = found.context
    sizes = translation.depths(context)
    wanted: list[tuple[str, Mapping[str, Any], str | None]] = [(f"depth {s.depth}", s.settings, None) for s in sizes]
    wanted.insert(1, (f"depth {sizes[0].depth}, MGDA", sizes[0].settings, "mgda"))
    steps = context.budget.count(STEPS, 4 if context.budget.levels else None)
    timed = [Timed(context, settings, method, steps) for _, settings, method in wanted]
    for _ in range(1 + ROUNDS):  # in turns: the machine's speed drifts
        for each in timed:
            each.go_on()
    rows = []
    for (name, _, _), each in zip(wanted, timed, strict=True):
        low, middle, high = (float(q) for q in np.quantile(each.steps[1:], (0.0, 0.5, 1.0)))  # the first is warm-up
        row: dict[str, Any] = {"row": name, "kind": "steps a second", "mean": middle, "low": low, "high": high}
        units = float(np.median(each.units[1:]))
        row |= {"million parameters": each.millions, "units a second": units, **reported.TABLE_2.get(name, {})}
        rows.append(row)
    frame = pd.DataFrame(rows)
    base, slowed = frame["mean"].iloc[0], frame["mean"].iloc[1]
    said = f"Per-task gradients take {base / slowed:.2f} times as long a step as scalarization (the paper: 2.40 times)."
    note = (
        f"Whole steps of the training, reading and optimiser included; median and range of {ROUNDS} rounds in turns, "
    )
    note += f"each of {steps} steps, after one to warm up; seconds of a CPU are CPU seconds."
    return [StudyTable("contrast", "Steps a second (by depth)", frame, note, (said,))]


class Timed:
    """A training in pieces of ``per`` steps; method None: scalarization at equal rates.

    ``millions``: of parameters. ``steps``, ``units`` (tokens): per second, of each piece.
    """

    def __init__(self, context: Context, settings: Mapping[str, Any], method: str | None, per: int) -> None:
        recipe = axes.with_settings(context.problem, dict(settings)).recipe(context.workload)
        data = replace(context.data, epoch_size=per * recipe.batch_size)
        self._seen: list[Any] = []
        self._learner = SupervisedLearner(
            data,
            lambda: context.workload.build(recipe.model, data),
            recipe,
            0,
            context.problem.device,
            on_rows=self._seen.extend,
        )
        equal = methods.constant(list(shares(data.names, None).values()))
        self._chosen, self._per = equal if method is None else methods.create(method), per
        self.millions = sum(p.numel() for p in self._learner.model.parameters()) / 1e6
        self._clock = clock_of(self._learner.device)
        self.steps: list[float] = []
        self.units: list[float] = []

    def go_on(self) -> None:
        """Train the next piece."""
        self._seen.clear()
        begun = self._clock()
        self._learner.train(self._chosen, self._learner.epoch + 1)
        taken = self._clock() - begun
        self.steps.append(self._per / taken)
        self.units.append(sum(row["value"] for row in self._seen if row["metric"] == "units") / taken)
